"""What the letters of languages are, commonest first, and the encodings they are written in: facts to guess by."""

from typing import NamedTuple


class Script(NamedTuple):
    """Encodings, likeliest first, and the letters beyond ASCII of the languages that are written in them."""

    encodings: tuple[str, ...]
    languages: tuple[str, ...]
    alphabet: bool = True
    """Its letters do not stand inside words of Latin ones. False: as many signs as there are syllables or words."""
    vowels: str = ""
    """And letters that are no sound; of the others five seldom stand together."""
    covers: tuple[tuple[int, int], ...] = ()
    """Code points, both included, of the signs that are not listed."""


LATIN = Script(
    (
        "cp1252", "latin_1", "iso8859_15", "cp1250", "iso8859_2", "cp1254", "cp1257", "iso8859_13", "iso8859_4",
        "iso8859_16", "iso8859_10", "iso8859_3", "iso8859_14", "mac_roman", "mac_latin2", "mac_turkish", "cp850",
        "cp852", "cp437", "cp857", "cp775",
    ),
    (
        "’“”–—é£…‘•",  # English
        "àèùòéì’“”«»–°",
        "éàèêç’ôâîœ«»ùûëï–°ÿ",
        "óíáéñúü¿¡«»“”",
        "ãáçéóêíúõâôà“”",
        "äüöß„“–éà",
        "ëéïóèöü’",
        "äåöé”–ü",
        "åøæé«»–ö",
        "áðíéóþöúæý„“",
        "łęóążśćńź„”–",
        "áíěéčýřšžůúňóťď„“–",
        "áíčýéšžúťľôňďóäĺŕ„“–",
        "áéóöőíüúű„”–",
        "čšžćđ„“–",
        "ăîâşţșț„”–",
        "ıüşğçöİâî“”",
        "äõüöšž„“–",
        "āīēšūņžļčķģ„“–",
        "ėšžįųūčąę„“–",
        "ëçé’",
        "éóòàèíçïúü·’",
        "ĝŝĉŭĥĵ",
        "żħġċàù’",
        "ŵŷâêîôûá’",
    ),
)  # fmt: skip
CYRILLIC = Script(
    ("cp1251", "koi8_r", "koi8_u", "iso8859_5", "mac_cyrillic", "cp866", "cp855", "kz1048"),
    (
        "оеаинтсрвлкмдпуяыьгзбчйхжшюцщэфъ«»—ё№",
        "оаниіетвсрлкдмупязьгбчхйцжїєюшщф«»—ґ№",
        "аиоетнрсвлпкдзмугябчъщцжхюшйф„“—ь",
        "аоиеунтјсрвдкпмлзгбчцшжћхђњљџф„“—",
        "аоиетнрвсдкљмпулзгјбчцшжќѓхњф„“—џѕ",
        "аніеорсткглдвмуяпызйбьчўцжэхшюфё«»—",
    ),
    vowels="аеёиоуыэюяіїєѝўьъ",
)
GREEK = Script(
    ("cp1253", "iso8859_7", "mac_greek", "cp737", "cp869"),
    ("αοιετσνηυρπκμλςάόίέήγδώύθχφβξζψ«»’–ϊϋΐΰ",),
    vowels="αεηιουωάέήίόύώϊϋΐΰ",
)
HEBREW = Script(("cp1255", "iso8859_8", "cp862"), ("יוהאלרתבשמנדחפקעכטסצגזםןךףץ״׳–",))
ARABIC = Script(
    ("cp1256", "iso8859_6"),
    ("اليمونترةبدسعفهكحقأجشطصخإذىزثضئءغظآؤ،؟«»", "اینردهموتبشسکگزخلفقعجپحذچصءطغآضژثظئ،؟«»"),
)
THAI = Script(("cp874",), ("านรอกเง่มยลวดท้ตัสิะปีบคุห์แจพชขำืูใโไ็ึผณถศธซฟญษฉภฎฐฏๆฯ",))
HAN = ((0x4E00, 0x9FFF), (0x3000, 0x303F), (0xFF01, 0xFF5E))
JAPANESE = Script(
    ("shift_jis", "euc_jp", "cp932", "euc_jis_2004", "shift_jisx0213"),
    (
        "の、い。るをたにはしてがなとれでさまこもすかりくっうあらきおけつえよーンそみスだめせルじちトリどやわアイ・ク"
        "ラほばシタ「」げドレッごびロフカプぎゃジマコょゅず日へテグ一むべ人国年大ひねぐ本ゆ中ろぶざ会出上ふ行時"
        "事者　生自前",
    ),
    alphabet=False,
    covers=(*HAN, (0x3040, 0x30FF)),
)
CHINESE = Script(
    ("gb2312", "big5", "gbk", "cp950", "gb18030", "big5hkscs"),
    (
        "的，。一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过发后作里用道"
        "行所然家种事成方多经么去法学如都同现当没动面起看定天分还进好小部其些主样理心她本前开但因只从想实日军者、：“”",
        "的，。一是不了人在有我他這個們中來上大為和國地到以說時要就出會可也你對生能而子那得於著下自之年過發後作里用道"
        "行所然家種事成方多經麼去法學如都同現當沒動面起看定天分還進好小部其些主樣理心她本前開但因只從想實日軍者、：「」",
    ),
    alphabet=False,
    covers=HAN,
)
KOREAN = Script(
    ("euc_kr", "cp949", "johab"),
    (
        "이다는의에을가하지고기도로한사인은들대정리자아서그나를수시어라있과부해보전구장일상성스제만것당니주원여동등안"
        "관공무비방중위용신유마년발요거내게으적오면계단학실선화산재연세소생",
    ),
    alphabet=False,
    covers=((0xAC00, 0xD7A3), *HAN),
)
SCRIPTS = (LATIN, CYRILLIC, GREEK, HEBREW, ARABIC, THAI, JAPANESE, CHINESE, KOREAN)
