"""English: pronouns, nouns of people, titles and first names; *a* and *an* follow. What cannot be told is left."""

import re

from affina.data.swaps.first_names import EITHER, ENGLISH
from affina.data.swaps.tokens import Token, both_ways, cased, listed, tokens
from affina.data.texts import Edit

PAIRS = both_ways(
    """
    he/she himself/herself man/woman men/women boy/girl boys/girls father/mother fathers/mothers dad/mom dads/moms
    daddy/mommy dad/mum daddy/mummy son/daughter sons/daughters brother/sister brothers/sisters husband/wife
    husbands/wives uncle/aunt uncles/aunts nephew/niece nephews/nieces grandfather/grandmother
    grandfathers/grandmothers grandpa/grandma grandson/granddaughter grandsons/granddaughters stepfather/stepmother
    stepson/stepdaughter stepbrother/stepsister boyfriend/girlfriend boyfriends/girlfriends king/queen kings/queens
    prince/princess princes/princesses emperor/empress duke/duchess lord/lady lords/ladies gentleman/lady
    gentlemen/ladies actor/actress actors/actresses waiter/waitress waiters/waitresses steward/stewardess
    stewards/stewardesses hero/heroine heroes/heroines host/hostess hosts/hostesses heir/heiress widower/widow
    widowers/widows bridegroom/bride groom/bride policeman/policewoman policemen/policewomen
    businessman/businesswoman businessmen/businesswomen chairman/chairwoman chairmen/chairwomen
    congressman/congresswoman congressmen/congresswomen salesman/saleswoman salesmen/saleswomen
    spokesman/spokeswoman spokesmen/spokeswomen fireman/firewoman firemen/firewomen sportsman/sportswoman
    sportsmen/sportswomen englishman/englishwoman frenchman/frenchwoman irishman/irishwoman schoolboy/schoolgirl
    schoolboys/schoolgirls male/female males/females sir/madam mr/ms mr/mrs mr/miss monk/nun monks/nuns
    fatherhood/motherhood brotherhood/sisterhood boyhood/girlhood manhood/womanhood masculine/feminine lad/lass
    lads/lasses fiancé/fiancée masseur/masseuse
    """
)
PHRASES = re.compile(
    r"\b(?:mother (?:nature|tongue|board|ship)|(?:king|queen)[- ]siz\w+|no man'?s land|man[- ](?:made|hours?|days?)"
    r"|father christmas|fairy godmother|brother printer|sister (?:company|site|ship)s?|drag queens?|boy(?:s)? scouts?"
    r"|girl(?:s)? scouts?|ladies and gentlemen|gentlemen and ladies|boys and girls|men and women|women and men"
    r"|he or she|she or he|he/she|she/he|his or her|her or his|him or her|her or him|s/he)\b",
    re.IGNORECASE,
)
"""What names no man or woman, or names both: left as it is."""
FUNCTION = listed(
    """
    a an the this that these those and or but nor so yet because if when while as than then though although since
    until after before in on at to for from with without by of about into onto over under up down out off away back
    again too also very really just now here there today tomorrow yesterday tonight soon later never always often is
    are was were be been being am do does did have has had will would can could shall should may might must not i
    you he she it we they me us them who whom which what where why how some any all both each every no my your our
    their its one alone anymore anyway home instead once twice well better right away everything something nothing
    anything
    """
)
GIVING = listed(
    """
    give gave given gives giving tell told tells telling show showed shown shows showing ask asked asks asking offer
    offered offers offering send sent sends sending buy bought buys buying teach taught teaches teaching make made
    makes making provide provided call called calls calling let lets help helped helps helping see saw seen sees
    seeing hear heard hears hearing watch watched watches want wanted wants bring brought brings bringing pay paid
    pays paying lend lent get got gets find found finds owe owed promise promised wish wished cost keep kept
    consider considered name named leave left
    """
)
"""Verbs that two things can follow, a person and another: whether `her` is the person cannot be told."""
LY_ADJECTIVES = listed(
    "family only early daily weekly lovely elderly friendly lonely ugly likely lively silly holy reply"
)
"""Words in -ly that can stand between `her` and a noun, or are one."""
AN_HOUR = ("hour", "honest", "honor", "honour", "heir")
A_USER = ("uni", "use", "usa", "usu", "util", "eu", "ewe", "one", "once", "ubiq")


def swapped(text: str, names: bool) -> list[Edit] | None:
    """The edits that exchange men and women in a text; none where it has neither, None where it cannot be told how.

    `names`: first names are exchanged too, each for one of about equal use.
    """
    held = tokens(text)
    fixed = [found.span() for found in PHRASES.finditer(text)]
    edits: list[Edit] = []
    for at, token in enumerate(held):
        if any(start <= token.start < stop for start, stop in fixed):
            continue
        if names and token.text in EITHER and at and held[at - 1].is_word:
            return None
        new = _other(held, at, names)
        if new is None:
            return None
        if new:
            edits += _article(held, at, new)
            edits.append(Edit(token.start, token.stop, cased(new, token.text)))
    return edits


def _other(held: list[Token], at: int, names: bool) -> str | None:
    """The word for the other; empty where the word is of neither, None where it cannot be told."""
    token = held[at]
    if token.plain in ("her", "his", "him", "hers"):
        return _pronoun(held, at)
    if token.plain in PAIRS:
        if token.plain in ("ms", "mrs", "miss", "mr") and not token.text[0].isupper():
            return ""
        if token.plain == "miss" and (at + 1 == len(held) or not held[at + 1].text[:1].isupper()):
            return ""
        return "sir" if token.plain == "madam" else PAIRS[token.plain]
    return ENGLISH.get(token.text, "") if names else ""


def _pronoun(held: list[Token], at: int) -> str | None:
    """`her` is *him* or *his* and `his` *her* or *hers*, by what follows."""
    token = held[at].plain
    if token in ("him", "hers"):
        return {"him": "her", "hers": "his"}[token]
    after = held[at + 1] if at + 1 < len(held) else None
    alone = after is None or not after.text[0].isalnum() or after.plain in FUNCTION
    if token == "his":
        return "hers" if alone else "her"
    if alone or (after is not None and after.plain.endswith("ly") and after.plain not in LY_ADJECTIVES):
        return "him"
    before = held[at - 1].plain if at else ""
    return None if before in GIVING else "his"


def _article(held: list[Token], at: int, new: str) -> list[Edit]:
    """*a* before a vowel becomes *an*, and the reverse."""
    if not at or held[at - 1].plain not in ("a", "an"):
        return []
    before = held[at - 1]
    article = "an" if _vowel(new) else "a"
    return [Edit(before.start, before.stop, cased(article, before.text[0]))] if article != before.plain else []


def _vowel(word: str) -> bool:
    word = word.casefold()
    return word.startswith(AN_HOUR) or (word[0] in "aeiou" and not word.startswith(A_USER))
