"""Italian words around people that do not agree with them, or after which something does."""

import re

from affina.data.swaps.tokens import listed

BEING = listed(
    """
    è era fu sarà sia fosse sarebbe sono erano furono saranno siano fossero sarebbero essere stato stata stati state
    sembra sembrava sembrano pare pareva diventa diventò diventerà diventano diventata diventato resta restò restava
    rimase rimane rimaneva appare venne viene veniva vennero vengono sentì sente sentiva torna tornò nacque morì
    """
)
HAVING = listed(
    "ha aveva ebbe avrà avrebbe abbia avesse hanno avevano ebbero avranno avrebbero abbiano avessero ho hai"
)
ADVERBS = listed(
    """
    molto così più meno troppo tanto davvero veramente sempre ancora già mai anche proprio ormai quasi spesso poi
    non assai piuttosto abbastanza subito appena solo ora oggi ieri
    """
)
CLITICS = listed("si ci mi ti vi ne lo la li le gli me te ce ve")
VERBS = listed(
    """
    parla mangia gioca guarda lavora porta compra ama chiama entra pensa cerca trova aspetta ascolta canta arriva
    abita studia cucina aiuta va dà sta fa sa cammina racconta spiega insegna impara viaggia lascia passa usa mostra
    paga prepara comincia inizia continua ritorna torna grida urla domanda ricorda dimentica immagina spera riposa
    balla suona disegna cura visita incontra salta nuota manda firma pubblica afferma dichiara deve vuole può disse
    fece andò merita guadagna dimostra denuncia accusa afferra presenta rappresenta conquista vide prese mise diede
    chiese rispose lesse scrisse dice dicono fanno vanno stanno danno vede prende mette legge scrive corre chiede
    sorride piange dorme parte conosce perde vince risponde scende vive odia adora bacia abbraccia saluta segue
    seguì accompagna considera invita avverte obbliga costringe potrà dovrà vorrà possono devono vogliono piace
    serve manca
    """
)
"""Common verbs as they follow a person, or a pronoun that stands for one."""
FUNCTION = listed(
    """
    e ed o od ma se che chi cui come dove quando perché di a da in con su per tra fra ad al allo alla ai agli alle
    del dello della dei degli delle dal dallo dalla dai dagli dalle nel nello nella nei negli nelle sul sullo sulla
    sui sugli sulle il lo la i gli le un uno una mentre dopo prima contro senza sotto sopra verso dentro dietro
    durante presso oltre fino insieme quindi però invece allora qui qua lì là suo sua suoi sue loro ogni né sia
    anche
    """
)
NEUTRAL = ADVERBS | CLITICS | HAVING | VERBS | FUNCTION
"""Words after a noun that never agree with it, though they may end as if they did."""
IMPERFECT = re.compile(r"[a-zàèéìòù]+(?:av|ev)a|[a-zàèéìòù]+(?:ò|ì|é|erà|irà|isse)")
"""Verbs of one person, by their ends."""
VERBAL = re.compile(rf"{IMPERFECT.pattern}|[a-zàèéìòù]+(?:ano|ono)")
"""Verbs of one person or many."""
ENCLITIC = re.compile(r"[a-zàèéìòù]{2,}(?:ar|er|ir|nd)o?(?:l[oaie]|gli|gliel[oaie])")
SHORTENED = listed("que' de' a' da' ne' co' be' i' su' pe'")
"""Old short forms of masculine determiners, which have no feminine."""
RELATIVE = listed("quale quali")
"""Relatives that agree with whom they are of."""
PLACES = listed("san santa sant' via viale piazza corso largo vicolo porta monte santo ospedale teatro stadio don")
ENDS = frozenset('.!?;:\n"«»()')
