//! Countries and regions as people write them, to the codes of ISO 3166.

use dialer_types::{Say, say};

/// Every code of ISO 3166-1, and XK, which is in use for Kosovo: a country without rules of its own
/// may be imported, a slip of the pen may not.
const CODES: &str = "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM \
    BN BO BQ BR BS BT BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK \
    DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT \
    GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW \
    KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV \
    MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA \
    RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ \
    TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS XK YE YT ZA ZM ZW";

/// Other names of countries, folded to small letters.
const COUNTRIES: [(&str, &[&str]); 40] = [
    (
        "US",
        &[
            "usa",
            "u.s.",
            "u.s.a.",
            "united states",
            "united states of america",
            "america",
            "美国",
            "美國",
        ],
    ),
    ("CA", &["can", "canada", "加拿大"]),
    (
        "GB",
        &[
            "uk",
            "u.k.",
            "gbr",
            "united kingdom",
            "great britain",
            "england",
            "scotland",
            "wales",
            "英国",
            "英國",
        ],
    ),
    ("CN", &["chn", "china", "prc", "中国", "中國", "中华人民共和国"]),
    ("HK", &["hkg", "hong kong", "香港"]),
    ("TW", &["twn", "taiwan", "台湾", "臺灣", "台灣"]),
    ("SG", &["sgp", "singapore", "新加坡"]),
    ("JP", &["jpn", "japan", "日本"]),
    ("KR", &["kor", "south korea", "korea", "republic of korea", "韩国"]),
    ("IN", &["ind", "india", "印度"]),
    ("AU", &["aus", "australia", "澳大利亚"]),
    ("NZ", &["nzl", "new zealand", "新西兰"]),
    ("DE", &["deu", "ger", "germany", "deutschland", "德国"]),
    ("AT", &["aut", "austria", "österreich", "奥地利"]),
    ("CH", &["che", "switzerland", "schweiz", "suisse", "瑞士"]),
    ("FR", &["fra", "france", "法国"]),
    ("IT", &["ita", "italy", "italia", "意大利"]),
    ("ES", &["esp", "spain", "españa", "西班牙"]),
    ("PT", &["prt", "portugal", "葡萄牙"]),
    ("NL", &["nld", "netherlands", "the netherlands", "nederland", "荷兰"]),
    ("BE", &["bel", "belgium", "belgique", "belgië", "比利时"]),
    ("LU", &["lux", "luxembourg"]),
    ("IE", &["irl", "ireland", "爱尔兰"]),
    ("DK", &["dnk", "denmark", "danmark", "丹麦"]),
    ("SE", &["swe", "sweden", "sverige", "瑞典"]),
    ("NO", &["nor", "norway", "norge", "挪威"]),
    ("FI", &["fin", "finland", "suomi", "芬兰"]),
    ("PL", &["pol", "poland", "polska", "波兰"]),
    ("CZ", &["cze", "czechia", "czech republic"]),
    ("TR", &["tur", "turkey", "türkiye", "土耳其"]),
    ("GR", &["grc", "greece"]),
    ("RO", &["rou", "romania"]),
    ("HU", &["hun", "hungary"]),
    ("MX", &["mex", "mexico", "méxico", "墨西哥"]),
    ("BR", &["bra", "brazil", "brasil", "巴西"]),
    ("AR", &["arg", "argentina", "阿根廷"]),
    ("AE", &["are", "uae", "united arab emirates", "阿联酋"]),
    ("ZA", &["zaf", "south africa", "南非"]),
    ("MY", &["mys", "malaysia", "马来西亚"]),
    ("PH", &["phl", "philippines", "菲律宾"]),
];

/// Names of regions, small letters, with the code after the country's.
const REGIONS: [(&str, &[(&str, &str)]); 4] = [("US", &US), ("CA", &CA), ("AU", &AU), ("CN", &CN)];
/// Countries of which every code is in [`REGIONS`]: another is a mistake, and would only be found
/// when the rules ask for the place.
const COMPLETE: [&str; 3] = ["US", "CA", "AU"];

const US: [(&str, &str); 61] = [
    ("AL", "alabama"),
    ("AK", "alaska"),
    ("AZ", "arizona"),
    ("AR", "arkansas"),
    ("CA", "california"),
    ("CO", "colorado"),
    ("CT", "connecticut"),
    ("DE", "delaware"),
    ("DC", "district of columbia"),
    ("DC", "washington dc"),
    ("FL", "florida"),
    ("GA", "georgia"),
    ("HI", "hawaii"),
    ("ID", "idaho"),
    ("IL", "illinois"),
    ("IN", "indiana"),
    ("IA", "iowa"),
    ("KS", "kansas"),
    ("KY", "kentucky"),
    ("LA", "louisiana"),
    ("ME", "maine"),
    ("MD", "maryland"),
    ("MA", "massachusetts"),
    ("MI", "michigan"),
    ("MN", "minnesota"),
    ("MS", "mississippi"),
    ("MO", "missouri"),
    ("MT", "montana"),
    ("NE", "nebraska"),
    ("NV", "nevada"),
    ("NH", "new hampshire"),
    ("NJ", "new jersey"),
    ("NM", "new mexico"),
    ("NY", "new york"),
    ("NC", "north carolina"),
    ("ND", "north dakota"),
    ("OH", "ohio"),
    ("OK", "oklahoma"),
    ("OR", "oregon"),
    ("PA", "pennsylvania"),
    ("RI", "rhode island"),
    ("SC", "south carolina"),
    ("SD", "south dakota"),
    ("TN", "tennessee"),
    ("TX", "texas"),
    ("UT", "utah"),
    ("VT", "vermont"),
    ("VA", "virginia"),
    ("WA", "washington"),
    ("WV", "west virginia"),
    ("WI", "wisconsin"),
    ("WY", "wyoming"),
    // Outlying areas, and what the post calls a state for its armed forces.
    ("AS", "american samoa"),
    ("GU", "guam"),
    ("MP", "northern mariana islands"),
    ("PR", "puerto rico"),
    ("UM", "united states minor outlying islands"),
    ("VI", "virgin islands"),
    ("AA", "armed forces americas"),
    ("AE", "armed forces europe"),
    ("AP", "armed forces pacific"),
];

const CA: [(&str, &str); 14] = [
    ("AB", "alberta"),
    ("BC", "british columbia"),
    ("MB", "manitoba"),
    ("NB", "new brunswick"),
    ("NL", "newfoundland and labrador"),
    ("NS", "nova scotia"),
    ("NT", "northwest territories"),
    ("NU", "nunavut"),
    ("ON", "ontario"),
    ("PE", "prince edward island"),
    ("QC", "quebec"),
    ("QC", "québec"),
    ("SK", "saskatchewan"),
    ("YT", "yukon"),
];

const AU: [(&str, &str); 8] = [
    ("ACT", "australian capital territory"),
    ("NSW", "new south wales"),
    ("NT", "northern territory"),
    ("QLD", "queensland"),
    ("SA", "south australia"),
    ("TAS", "tasmania"),
    ("VIC", "victoria"),
    ("WA", "western australia"),
];

const CN: [(&str, &str); 34] = [
    ("AH", "安徽"),
    ("BJ", "北京"),
    ("CQ", "重庆"),
    ("FJ", "福建"),
    ("GD", "广东"),
    ("GS", "甘肃"),
    ("GX", "广西"),
    ("GZ", "贵州"),
    ("HA", "河南"),
    ("HB", "湖北"),
    ("HE", "河北"),
    ("HI", "海南"),
    ("HK", "香港"),
    ("HL", "黑龙江"),
    ("HN", "湖南"),
    ("JL", "吉林"),
    ("JS", "江苏"),
    ("JX", "江西"),
    ("LN", "辽宁"),
    ("MO", "澳门"),
    ("NM", "内蒙古"),
    ("NX", "宁夏"),
    ("QH", "青海"),
    ("SC", "四川"),
    ("SD", "山东"),
    ("SH", "上海"),
    ("SN", "陕西"),
    ("SX", "山西"),
    ("TJ", "天津"),
    ("TW", "台湾"),
    ("XJ", "新疆"),
    ("XZ", "西藏"),
    ("YN", "云南"),
    ("ZJ", "浙江"),
];

/// The two capital letters of a country that there is.
pub(crate) fn country(text: &str) -> Option<&'static str> {
    let text = text.trim();
    code(text).or_else(|| {
        // UK is no code, and everybody writes it: it is among the names.
        let small = text.to_lowercase();
        let known = COUNTRIES.iter().find(|(_, names)| names.contains(&small.as_str()));
        known.map(|(code, _)| *code)
    })
}

fn code(text: &str) -> Option<&'static str> {
    // Two letters and a blank each: every row asks.
    let at = CODES.as_bytes().chunks(3).position(|code| {
        code.get(..2).is_some_and(|code| code.eq_ignore_ascii_case(text.as_bytes()))
    })?;
    CODES.get(at * 3..at * 3 + 2)
}

/// The code of a region of a country, without the country's; or what is expected there.
pub(crate) fn region(country: &str, text: &str) -> Result<String, Say> {
    let text = text.trim();
    let code = text.strip_prefix(country).and_then(|rest| rest.strip_prefix('-')).unwrap_or(text);
    let names = REGIONS.iter().find(|(of, _)| *of == country).map(|(_, names)| *names);
    if (1..=3).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        let code = code.to_ascii_uppercase();
        return match names.filter(|_| COMPLETE.contains(&country)) {
            Some(names) if !names.iter().any(|(known, _)| *known == code) => {
                Err(expected(country, names))
            }
            _ => Ok(code),
        };
    }
    let small = text.to_lowercase();
    let small = small.replace(['.', ','], "");
    let bare = ["壮族自治区", "回族自治区", "维吾尔自治区", "自治区", "特别行政区", "省", "市"]
        .iter()
        .find_map(|kind| small.strip_suffix(kind))
        .unwrap_or(&small);
    let Some(names) = names else {
        return Err("must be an ISO 3166-2 code without the country, like FL".into());
    };
    let named = names.iter().find(|(_, name)| *name == bare);
    named.map(|(code, _)| (*code).to_owned()).ok_or_else(|| expected(country, names))
}

fn expected(country: &str, names: &[(&'static str, &str)]) -> Say {
    let mut known: Vec<&str> = names.iter().map(|(code, _)| *code).collect();
    known.dedup();
    let known = known.join(", ");
    say!("is no region of {country}; expected is its name or one of: {known}", country, known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_known_by_the_names_people_write() {
        for (text, code) in [
            ("US", Some("US")),
            ("usa", Some("US")),
            ("United States", Some("US")),
            ("us", Some("US")),
            ("中国", Some("CN")),
            ("Deutschland", Some("DE")),
            ("ZW", Some("ZW")),
            ("zw", Some("ZW")),
            ("UK", Some("GB")),
            ("uk", Some("GB")),
            ("XX", None),
            ("ZZ", None),
            ("EU", None),
            ("Atlantis", None),
        ] {
            assert_eq!(country(text), code, "{text}");
        }
        for (of, text, code) in [
            ("US", "FL", Some("FL")),
            ("US", "fl", Some("FL")),
            ("US", "Florida", Some("FL")),
            ("US", "US-FL", Some("FL")),
            ("US", "Washington, D.C.", Some("DC")),
            ("CA", "Québec", Some("QC")),
            ("CN", "广东省", Some("GD")),
            ("CN", "广西壮族自治区", Some("GX")),
            ("CN", "北京市", Some("BJ")),
            ("DE", "Bayern", None),
            ("US", "Atlantis", None),
            ("US", "ZZ", None),
            ("US", "QC", None),
            ("US", "PR", Some("PR")),
            ("CA", "QC", Some("QC")),
            ("CA", "FL", None),
            ("AU", "nsw", Some("NSW")),
            ("AU", "Victoria", Some("VIC")),
            ("AU", "XYZ", None),
            // Nobody here knows the regions of Germany by code.
            ("DE", "BY", Some("BY")),
        ] {
            assert_eq!(region(of, text).ok().as_deref(), code, "{of} {text}");
        }
        let said = region("AU", "ZZ").unwrap_err().to_string();
        assert!(said.contains("AU") && said.contains("NSW, NT, QLD"), "{said}");
    }
}
