#!/usr/bin/env python3
"""Makes numbers.txt from the PyPI package phonenumbers (Apache-2.0), a port of libphonenumber.

Run: pip install phonenumbers && python3 generate.py > numbers.txt

Output, one entry a line: prefix, places, zones; the longest prefix that matches a number holds.
`*` as zones stands for every zone of the calling code, `-` for none.
Deterministic: samples are drawn with a fixed seed.
"""
import random
import sys

import phonenumbers as p
from phonenumbers.geodata import GEOCODE_DATA
from phonenumbers.phonemetadata import PhoneMetadata
from phonenumbers.tzdata import TIMEZONE_DATA

random.seed(20261123)
STATES = {
    "Alabama": "US-AL", "Alaska": "US-AK", "Arizona": "US-AZ", "Arkansas": "US-AR", "California": "US-CA",
    "Colorado": "US-CO", "Connecticut": "US-CT", "Delaware": "US-DE", "Florida": "US-FL", "Georgia": "US-GA",
    "Hawaii": "US-HI", "Idaho": "US-ID", "Illinois": "US-IL", "Indiana": "US-IN", "Iowa": "US-IA",
    "Kansas": "US-KS", "Kentucky": "US-KY", "Louisiana": "US-LA", "Maine": "US-ME", "Maryland": "US-MD",
    "Massachusetts": "US-MA", "Michigan": "US-MI", "Minnesota": "US-MN", "Mississippi": "US-MS",
    "Missouri": "US-MO", "Montana": "US-MT", "Nebraska": "US-NE", "Nevada": "US-NV", "New Hampshire": "US-NH",
    "New Jersey": "US-NJ", "New Mexico": "US-NM", "New York": "US-NY", "North Carolina": "US-NC",
    "North Dakota": "US-ND", "Ohio": "US-OH", "Oklahoma": "US-OK", "Oregon": "US-OR", "Pennsylvania": "US-PA",
    "Rhode Island": "US-RI", "South Carolina": "US-SC", "South Dakota": "US-SD", "Tennessee": "US-TN",
    "Texas": "US-TX", "Utah": "US-UT", "Vermont": "US-VT", "Virginia": "US-VA", "Washington State": "US-WA",
    "Washington D.C.": "US-DC", "West Virginia": "US-WV", "Wisconsin": "US-WI", "Wyoming": "US-WY",
    "Alberta": "CA-AB", "British Columbia": "CA-BC", "British Colombia": "CA-BC", "Manitoba": "CA-MB",
    "New Brunswick": "CA-NB", "Newfoundland and Labrador": "CA-NL", "Nova Scotia": "CA-NS",
    "Prince Edward Island": "CA-PE", "Ontario": "CA-ON", "Quebec": "CA-QC", "Saskatchewan": "CA-SK",
    "Northwest Territories": "CA-NT", "Nunavut": "CA-NU", "Yukon": "CA-YT",
}
# Area codes whose own entry in the geocoder is a town or absent.
BY_HAND = {"203": "US-CT", "310": "US-CA", "713": "US-TX", "718": "US-NY", "905": "CA-ON",
           "242": "BS", "246": "BB", "264": "AI", "268": "AG", "284": "VG", "340": "US-VI", "345": "KY",
           "441": "BM", "473": "GD", "649": "TC", "658": "JM", "664": "MS", "670": "US-MP", "671": "US-GU",
           "684": "US-AS", "721": "SX", "758": "LC", "767": "DM", "784": "VC", "787": "US-PR", "809": "DO",
           "829": "DO", "849": "DO", "868": "TT", "869": "KN", "876": "JM", "939": "US-PR"}


def place_of_area_code(code):
    if code in BY_HAND:
        return [BY_HAND[code]]
    name = GEOCODE_DATA.get("1" + code, {}).get("en")
    if name is None:
        return None
    if name in STATES:
        return [STATES[name]]
    if ", " in name:  # "Chicago, IL", "Toronto, ON"
        short = name.rsplit(", ", 1)[1]
        for country in ("US", "CA"):
            if f"{country}-{short}" in STATES.values():
                return [f"{country}-{short}"]
    parts = [STATES.get(part) for part in name.split("/")]
    return parts if all(parts) else None


def nanp():
    zones = {}
    for prefix, names in TIMEZONE_DATA.items():
        if prefix.startswith("1") and len(prefix) >= 4:
            zones.setdefault(prefix[1:4], set()).update(names)
    yield "1", ["US"], ["-"]
    for code in sorted(zones):
        places = place_of_area_code(code)
        if places is None:
            sys.exit(f"no place for area code {code}")
        yield "1" + code, places, sorted(zones[code])


GEOGRAPHIC = {p.PhoneNumberType.FIXED_LINE, p.PhoneNumberType.FIXED_LINE_OR_MOBILE}
GEO_MOBILE = {52, 54, 55, 62, 86}
ITALIAN_ZERO = {39}


def samples(cc, national):
    """Valid numbers of this calling code that start so: (place, geographic?)."""
    found = set()
    lengths = set()
    for region in p.COUNTRY_CODE_TO_REGION_CODE[cc]:
        lengths.update(l for l in PhoneMetadata.metadata_for_region(region).general_desc.possible_length if l > 0)
    for length in sorted(lengths):
        rest = length - len(national)
        if rest < 0:
            continue
        for _ in range(12):
            digits = national + "".join(random.choice("0123456789") for _ in range(rest))
            number = p.PhoneNumber(country_code=cc, national_number=int(digits))
            if cc in ITALIAN_ZERO and digits.startswith("0"):
                number.italian_leading_zero = True
            region = p.region_code_for_number(number)
            if region is None or region == "001":
                continue
            kind = p.number_type(number)
            geographic = kind in GEOGRAPHIC or (cc in GEO_MOBILE and kind == p.PhoneNumberType.MOBILE)
            found.add((region, geographic))
    return found


def longest(prefix):
    while prefix:
        if prefix in TIMEZONE_DATA:
            return prefix, TIMEZONE_DATA[prefix]
        prefix = prefix[:-1]
    return "", ()


def walk(cc, national, out, depth):
    found = samples(cc, national)
    if not found:
        return
    prefix = str(cc) + national
    regions = sorted({region for region, _ in found})
    kinds = {geographic for _, geographic in found}
    deeper = [k for k in TIMEZONE_DATA if k.startswith(prefix) and len(k) > len(prefix)]
    if len(regions) == 1 and kinds == {False}:
        out[prefix] = (regions, ["*"])
        return
    if len(regions) == 1 and kinds == {True} and not deeper:
        out[prefix] = (regions, sorted(longest(prefix)[1]))
        return
    if len(national) == depth:
        zones = set(longest(prefix)[1])
        for key in deeper:
            zones.update(TIMEZONE_DATA[key])
        if kinds == {True}:
            out[prefix] = (regions, sorted(longest(prefix)[1]))
            for key in deeper:
                out[key] = (regions, sorted(TIMEZONE_DATA[key]))
        else:
            out[prefix] = (regions, ["*"])
        return
    for digit in "0123456789":
        walk(cc, national + digit, out, depth)


def others():
    for cc in sorted(p.COUNTRY_CODE_TO_REGION_CODE):
        regions = [r for r in p.COUNTRY_CODE_TO_REGION_CODE[cc] if r != "001"]
        if cc == 1 or not regions:
            continue
        everywhere = sorted(TIMEZONE_DATA.get(str(cc), ()))
        root = regions[:1]
        yield str(cc), root, everywhere or ["-"]
        if len(regions) == 1 and len(everywhere) <= 1:
            continue
        out = {}
        walk(cc, "", out, 4 if cc == 44 else 3)
        out = {k: (r, ["*"] if z == everywhere else z) for k, (r, z) in out.items()}
        # An entry that says what the next shorter one says adds nothing.
        for key in sorted(out, key=len, reverse=True):
            parent = key[:-1]
            while parent and parent not in out and parent != str(cc):
                parent = parent[:-1]
            above = out.get(parent) or (root, ["*"])
            if out[key] == above and key != str(cc):
                del out[key]
        for key in sorted(out):
            if key != str(cc):
                yield key, out[key][0], out[key][1]


def main():
    print("# Made by generate.py from phonenumbers", p.__version__, "(Apache-2.0). Do not edit.")
    print("# prefix, places, zones; the longest prefix holds; * = every zone of the calling code, - = none")
    countries = {}
    rows = list(nanp()) + list(others())
    for prefix, places, zones in rows:
        print(prefix, ",".join(places), ",".join(zones))
    for cc, regions in sorted(p.COUNTRY_CODE_TO_REGION_CODE.items()):
        for region in regions:
            if region != "001":
                countries[region] = cc
    print("# country, calling code, every zone of the calling code")
    for country in sorted(countries):
        cc = countries[country]
        print("=" + country, cc, ",".join(sorted(TIMEZONE_DATA.get(str(cc), ()))) or "-")


main()
