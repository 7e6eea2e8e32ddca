r"""The words of answers: units and their synonyms, number words, functions, words that change what a number says."""

from fractions import Fraction


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


FUNCTIONS = _words(
    """
    sin cos tan cot sec csc arcsin arccos arctan arccot asin acos atan sinh cosh tanh coth log ln lg exp sqrt abs
    floor ceil max min gcd lcm
    """
)
CONSTANTS = _words("pi infinity")
CONNECTIVES = _words("and or")
NUMBER_WORDS = {
    "hundred": Fraction(100), "thousand": Fraction(1000), "million": Fraction(10**6), "billion": Fraction(10**9),
    "trillion": Fraction(10**12), "dozen": Fraction(12),
}  # fmt: skip

# A unit a word group, its name first; groups end with a semicolon.
_SYNONYMS = """
    cm centimeter centimetre; m meter metre; km kilometer kilometre; mm millimeter millimetre; nm nanometer nanometre;
    in inch inche; ft foot feet; yd yard; mi mile; s sec second; min minute; h hr hour; day; week wk; month; year yr;
    g gram; kg kilogram; mg milligram; lb pound lbs; oz ounce; degree deg circ; dollar usd buck; cent; euro eur;
    l liter litre; ml milliliter millilitre; gal gallon; newton N; joule J; kj kilojoule; erg; ev electronvolt;
    cal calorie; kcal; watt W; kw kilowatt; volt V; ampere A amp; kelvin K; celsius C; fahrenheit F; hz hertz;
    pa pascal; kpa kilopascal; mol mole; rad radian; unit; sq square; cubic cu; per; mph; kmh kph kmph; rpm; au; ms;
    ly; pc parsec; angstrom; bit; byte; time; point; percent
"""
UNITS = {name: group.split()[0] for group in _SYNONYMS.split(";") for name in group.split()}
# Symbols that mean a unit when they stand upright behind a value; i, e, d, x, n and the like never do.
UNIT_LETTERS = frozenset("msghNJWVAKCFlLT")
# Without \text around them only these: mg and pa are rather products.
_BARE_UNITS = _words("cm mm km ft kg in yd lb lbs oz hr hrs min mins sec secs mph kmh kph rpm deg sq per usd mi ml")
_SHORT_WORDS = _words(
    """
    day cat dog car egg pen box bag cup pie man men boy toy bee cow pig hen bus set row way can tin kid ant bat key
    cap hat job lap mat nut pot rod tie tub van ham bun fan map net pin red sum ton one two six ten yes not all for
    the are has how its few
    """
)
# Words beside another word, and products of letters anywhere else.
LITTLE_WORDS = _words("of the is to in on at by as for if be we it so up an this that was can")
# Behind a number these change what it says, or say that it is not sure: text with one of them is no unit.
CHANGING_WORDS = _words(
    """
    or and not no none never nor neither minus plus over half halves quarter quarters third thirds hundred hundreds
    thousand thousands million millions billion billions trillion dozen dozens zero one two three four five six
    seven eight nine ten eleven twelve twenty thirty forty fifty sixty seventy eighty ninety maybe perhaps possibly
    probably either if unless except but more less fewer greater least most than approximately about around pi
    infinity infinite undefined squared cubed factorial root divided multiplied added point negative to from through
    between wrong false incorrect mod modulo choose power another other
    """
)


def is_word(run: str) -> bool:
    """Say whether a run of two letters or more is a word rather than letters that are multiplied.

    A known unit or short word, or four letters and more of one case (but for the first) with a vowel among them.

    Examples
    --------
    >>> is_word("cm"), is_word("apples"), is_word("xy"), is_word("No"), is_word("ABCD")
    (True, True, False, True, False)
    """
    lower = run.lower()
    if lower in ("yes", "no", "true", "false", "none"):
        return True
    if lower != run and run.capitalize() != run:
        return False
    if len(run) >= 4:
        return any(vowel in lower for vowel in "aeiouy")
    return lower in _BARE_UNITS or lower in _SHORT_WORDS or singular(lower) in _SHORT_WORDS


def singular(word: str) -> str:
    """Return a word without the s of its plural.

    Examples
    --------
    >>> singular("apples"), singular("boxes"), singular("glass"), singular("is")
    ('apple', 'box', 'glass', 'is')
    """
    if word.endswith(("xes", "ches", "shes", "sses")):
        return word[:-2]
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    return word[:-1] if word.endswith("s") and not word.endswith("ss") and len(word) > 2 else word
