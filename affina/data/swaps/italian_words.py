"""Italian words with a form for men and one for women: nouns of people, determiners by sound, adjectives, verbs."""

import re
from collections.abc import Mapping
from typing import NamedTuple

from affina.data.swaps.tokens import listed


class Form(NamedTuple):
    """What a word is: `m` or `f`, one or many (`s`, `p`), and the word of the other gender."""

    gender: str
    number: str
    other: str


def _nouns() -> Mapping[str, tuple[Form, ...]]:
    """Of each form of a noun what it can be."""
    found: dict[str, list[Form]] = {}
    for entry in NOUNS.split():
        forms = entry.split("/")
        if len(forms) == 1:  # ragazz-o, amic-o, operai-o: regular
            stem = forms[0]
            plural = stem if stem[-1] == "i" else f"{stem}i"
            forms = [f"{stem}o", f"{stem}a", plural, f"{stem}{'h' if stem[-1] in 'cg' else ''}e"]
        if len(forms) == 2:
            forms += ["", ""]
        for gender, number, own, other in (
            ("m", "s", forms[0], forms[1]), ("f", "s", forms[1], forms[0]),
            ("m", "p", forms[2], forms[3]), ("f", "p", forms[3], forms[2]),
        ):  # fmt: skip
            form = Form(gender, number, other)
            if own and own != other and form not in found.setdefault(own, []):
                found[own].append(form)
    return {word: tuple(forms) for word, forms in found.items()}


NOUNS = """
    ragazz bambin figli fratello/sorella/fratelli/sorelle uomo/donna/uomini/donne padre/madre/padri/madri papà/mamma
    babbo/mamma marito/moglie/mariti/mogli nonn zio/zia/zii/zie cugin amic nemic suocer cognat
    signore/signora/signori/signore signor/signora maschio/femmina/maschi/femmine sposo/sposa/sposi/spose fidanzat
    compagno/compagna/compagni/compagne vedov genero/nuora/generi/nuore ragazzino/ragazzina/ragazzini/ragazzine
    maestr alunn allievo/allieva/allievi/allieve studente/studentessa/studenti/studentesse
    professore/professoressa/professori/professoresse professor/professoressa dottore/dottoressa/dottori/dottoresse
    dottor/dottoressa avvocat operai impiegat infermiere/infermiera/infermieri/infermiere
    cameriere/cameriera/camerieri/cameriere cuoco/cuoca/cuochi/cuoche attore/attrice/attori/attrici
    scrittore/scrittrice/scrittori/scrittrici direttore/direttrice/direttori/direttrici
    autore/autrice/autori/autrici pittore/pittrice/pittori/pittrici scultore/scultrice/scultori/scultrici
    imprenditore/imprenditrice/imprenditori/imprenditrici lavoratore/lavoratrice/lavoratori/lavoratrici
    ricercatore/ricercatrice/ricercatori/ricercatrici giocatore/giocatrice/giocatori/giocatrici
    allenatore/allenatrice/allenatori/allenatrici senatore/senatrice/senatori/senatrici
    ambasciatore/ambasciatrice/ambasciatori/ambasciatrici spettatore/spettatrice/spettatori/spettatrici
    elettore/elettrice/elettori/elettrici educatore/educatrice/educatori/educatrici
    traduttore/traduttrice/traduttori/traduttrici campione/campionessa/campioni/campionesse re/regina
    principe/principessa/principi/principesse conte/contessa duca/duchessa/duchi/duchesse
    barone/baronessa/baroni/baronesse eroe/eroina/eroi/eroine poeta/poetessa/poeti/poetesse
    dentista/dentista/dentisti/dentiste giornalista/giornalista/giornalisti/giornaliste
    artista/artista/artisti/artiste musicista/musicista/musicisti/musiciste regista/regista/registi/registe
    turista/turista/turisti/turiste barista/barista/baristi/bariste autista/autista/autisti/autiste
    collega/collega/colleghi/colleghe psicologo/psicologa/psicologi/psicologhe ministr sindac segretari
    ingegnere/ingegnera/ingegneri/ingegnere parrucchiere/parrucchiera/parrucchieri/parrucchiere contadin
    casalingo/casalinga/casalinghi/casalinghe cittadin candidat deputat impresari scienziat
    soldato/soldatessa/soldati/soldatesse poliziotto/poliziotta/poliziotti/poliziotte ballerin
    cantautore/cantautrice/cantautori/cantautrici giovanotto/signorina
    """
EPICENE = listed(
    """
    nipote nipoti insegnante insegnanti cantante cantanti cliente clienti parente parenti paziente pazienti giovane
    giovani coniuge coniugi dirigente dirigenti docente docenti adolescente adolescenti residente residenti
    presidente presidenti abitante abitanti assistente assistenti agente agenti utente utenti giudice giudici
    """
)
"""Nouns of one form: what stands before them tells."""
PRONOUNS = {"lui": ("m", "lei"), "lei": ("f", "lui"), "egli": ("m", "ella"), "ella": ("f", "egli")}
FORMS = _nouns()
DETERMINED = listed(
    """
    sposo sposa sposi spose cittadino cittadina cittadini cittadine impiegato impiegata impiegati impiegate
    candidato candidata candidati candidate deputato deputata deputati deputate nemico nemica nemici nemiche amica
    amiche casalinga casalinghe casalingo casalinghi contadino contadina contadini contadine maestro maestra maestri
    maestre compagno compagna compagni compagne femmina femmine maschio maschi segretario segretaria segretari
    segretarie principe principi conte duca duchi barone baroni fidanzato fidanzata fidanzati fidanzate operaio
    operaia operai operaie direttrice direttrici re regina regine cuoco cuoca cuochi cuoche soldato soldati vedovo
    vedova ballerina ballerine ballerino ballerini campione campioni allieva allievi signorina cugino genero generi
    """
)
"""Nouns that are other words too, or names: people only where a determiner stands before them."""
OF_FIRST_NAMES = listed(
    """
    conte contessa zio zia re regina principe principessa duca duchessa fratello sorella cugino cugina moglie marito
    figlio figlia padre madre nonno nonna amico amica
    """
)
"""Nouns before first names, not surnames."""
ONE_OF = {
    "uno": "una", "una": "uno", "ognuno": "ognuna", "ognuna": "ognuno", "ciascuno": "ciascuna", "ciascuna": "ciascuno",
    "qualcuno": "qualcuna", "qualcuna": "qualcuno", "nessuno": "nessuna", "nessuna": "nessuno", "molti": "molte",
    "molte": "molti", "alcuni": "alcune", "alcune": "alcuni", "pochi": "poche", "poche": "pochi", "tanti": "tante",
    "tante": "tanti", "tutti": "tutte", "tutte": "tutti",
}  # fmt: skip
"""What agrees with the many it is of: *una delle amiche*."""
FEMININE_ONLY = listed("persona vittima guida figura stella risorsa leggenda spia sentinella creatura autorità")
"""Nouns of people that keep their gender."""


class Determiner(NamedTuple):
    """What stands before nouns and agrees: by gender and number its forms before a consonant, before s and a consonant
    (or z …), before a vowel."""

    ms: tuple[str, str, str]
    fs: tuple[str, str, str]
    mp: tuple[str, str, str]
    fp: tuple[str, str, str]

    def said(self, gender: str, number: str, following: str) -> str:
        """The form before a word."""
        forms: tuple[str, str, str] = getattr(self, gender + number)
        return forms[2 if following[:1] in VOWELS else 1 if IMPURE.match(following) else 0]


VOWELS = "aeiouàèéìòù"
IMPURE = re.compile(r"s[^aeiouàèéìòùh]|sh|z|gn|pn|ps|x|y|i[aeiou]")


def _articles(stem: str, joined: bool) -> Determiner:
    if not joined:
        return Determiner(("il", "lo", "l'"), ("la", "la", "l'"), ("i", "gli", "gli"), ("le", "le", "le"))
    short = {"de": "del", "a": "al", "da": "dal", "ne": "nel", "su": "sul", "que": "quel", "be": "bel"}[stem]
    plural = {"de": "dei", "a": "ai", "da": "dai", "ne": "nei", "su": "sui", "que": "quei", "be": "bei"}[stem]
    long = f"{short}l"
    return Determiner(
        (short, f"{long}o", f"{long}'"), (f"{long}a", f"{long}a", f"{long}'"),
        (plural, f"{stem}gli", f"{stem}gli"), (f"{long}e", f"{long}e", f"{long}e"),
    )  # fmt: skip


DETERMINERS = (
    _articles("", False),
    *(_articles(stem, True) for stem in ("de", "a", "da", "ne", "su", "que", "be")),
    Determiner(("buon", "buono", "buon"), ("buona",) * 3, ("buoni",) * 3, ("buone",) * 3),
    Determiner(("un", "uno", "un"), ("una", "una", "un'"), ("", "", ""), ("", "", "")),
    Determiner(("nessun", "nessuno", "nessun"), ("nessuna", "nessuna", "nessun'"), ("", "", ""), ("", "", "")),
    Determiner(("ciascun", "ciascuno", "ciascun"), ("ciascuna", "ciascuna", "ciascuna"), ("", "", ""), ("", "", "")),
    Determiner(("questo", "questo", "questo"), ("questa",) * 3, ("questi",) * 3, ("queste",) * 3),
    Determiner(("mio",) * 3, ("mia",) * 3, ("miei",) * 3, ("mie",) * 3),
    Determiner(("tuo",) * 3, ("tua",) * 3, ("tuoi",) * 3, ("tue",) * 3),
    Determiner(("suo",) * 3, ("sua",) * 3, ("suoi",) * 3, ("sue",) * 3),
    Determiner(("nostro",) * 3, ("nostra",) * 3, ("nostri",) * 3, ("nostre",) * 3),
    Determiner(("vostro",) * 3, ("vostra",) * 3, ("vostri",) * 3, ("vostre",) * 3),
    Determiner(("",) * 3, ("",) * 3, ("alcuni",) * 3, ("alcune",) * 3),
    Determiner(("",) * 3, ("",) * 3, ("entrambi",) * 3, ("entrambe",) * 3),
)
ALL_OF = listed("tutto tutta tutti tutte entrambi entrambe")
"""What agrees and stands before the article: *tutti i ragazzi*."""
ARTICLES = listed("il lo la l' un uno una un' i gli le dei degli delle")
OWN = listed(
    """
    mio mia miei mie tuo tua tuoi tue suo sua suoi sue nostro nostra nostri nostre vostro vostra vostri vostre bel
    bello bell' bella bei begli belle buon buono buona buoni buone alcuni alcune
    """
)
"""Determiners that another may stand before."""
INVARIANT = listed(
    """
    più meno ogni qualche due tre quattro cinque sei sette otto nove dieci loro cui ex grande grandi maggiore
    maggiori minore minori migliore migliori peggiore peggiori giovane giovani gentile gentili forte forti celebre
    celebri semplice semplici felice felici importante importanti
    """
)
"""What may stand between a determiner and its noun and says nothing of gender."""


def determiners(word: str) -> list[tuple[Determiner, str, str]]:
    """What a word can be before a noun: the family, gender and number."""
    return [
        (each, gender, number)
        for each in DETERMINERS
        for gender in "mf"
        for number in "sp"
        if word and word in getattr(each, gender + number)
    ]


STEMS = listed(
    """
    quant altrettant iscritt alt bass bell brutt buon cattiv car cari nuov vecchi vecch grass magr ricc ricch pover
    stanc stanch malat san brav simpatic antipatic timid allegr trist content sol stess alt altr molt poc tant tropp
    tutt cert divers piccol grand bianc bianch ner ross biond brun mor italian american african roman milanes
    cinesin stranier ebre cristian musulman cattolic ortodoss tedesc tedesch russ grec rumen albanes polacc
    brasilian spagnol svizzer sposat divorziat fidanzat innamorat nat mort viv ver giust convint sicur fier
    preoccupat emozionat arrabbiat licenziat assunt elett nominat ferit uccis arrestat accusat condannat assolt
    invitat chiamat scelt vist sedut perdut cresciut vissut rimast partit arrivat andat tornat venut entrat uscit
    salit sces cadut diventat stat costrett fatt dett scritt mess pres chiest dirett distrutt promoss protett
    scopert vint offes indecis sconfitt rapit difes espuls coinvolt risolt condott indott trascors rinchius
    interrott attes aiutat operat ricoverat vestit educat laureat diplomat specializzat disoccupat occupat ritirat
    pronta pront attent distratt onest sincer modest famos curios gelos nervos generos coraggios pericolos studios
    silenzios furios orgoglios religios ambizios noios prezios virtuos intelligentissim bellissim bravissim carin
    cortes scontros sciocc sciocch matt pazz furb scaltr saggi esperat espert preparat abil magic primo prim second
    ultim unic singol propri adult matur anzian medesim lont vicin impegnat affascinant interessat soddisfatt delus
    sorpres impaurit spaventat colpit commoss divertit stupit agitat calm seren apert chius sincer liber debol fort
    robust atletic elegantissim ben mal
    """
)
"""What stands before -o, -a, -i, -e in adjectives and participles of people."""
ADJECTIVE = re.compile(r"(?P<stem>[a-zàèéìòù]+)(?P<end>o|a|i|e|io|ia)")
PARTICIPLE = re.compile(r"[a-zàèéìòù]{2,}(?:at|ut|it)[oaie]")
NO_PARTICIPLE = listed(
    """
    vita vite lite partita partite giornata giornate serata nottata ondata marito mariti fiato prato prati gelato
    dito moto foto voto minuto minuti aiuto aiuti saluto tributo rifiuto istituto contenuto appetito abito sito
    merito debito credito limite visita visite uscita salita ferita nascita data rata gara strada estate potata
    subito ambito sabato mercato reato passato risultato significato
    """
)
ENDINGS = {("m", "s"): "o", ("f", "s"): "a", ("m", "p"): "i", ("f", "p"): "e"}


def agreeing(word: str, gender: str, number: str) -> str | None:
    """An adjective or participle of this gender and number in the other gender; None where it is no such word."""
    if word in NO_PARTICIPLE or word in FORMS:
        return None
    end, other = ENDINGS[gender, number], ENDINGS["f" if gender == "m" else "m", number]
    if not word.endswith(end):
        return None
    stem = word[:-1]
    if number == "p" and stem.endswith(("ch", "gh")) and gender == "f" and stem[:-1] in SOFT:
        stem = stem[:-1]
    known = stem in STEMS or PARTICIPLE.fullmatch(word)
    if number == "p" and not known and gender == "m" and f"{stem}h" in STEMS:
        known, stem = True, f"{stem}h"
    if number == "p" and gender == "m" and stem in SOFT:
        return f"{stem}he"
    if gender == "m" and number == "p" and stem and f"{stem}i" in STEMS:
        return f"{stem}ie"
    return stem + other if known else None


SOFT = listed("simpatic antipatic magic atletic unic cattolic grec romantic")
"""Adjectives in -co that become -ci, -che."""
