//! Countries and regions as people write them, to the codes of ISO 3166.

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
const REGIONS: [(&str, &[(&str, &str)]); 3] = [("US", &US), ("CA", &CA), ("CN", &CN)];

const US: [(&str, &str); 52] = [
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

/// The two capital letters of a country.
pub(crate) fn country(text: &str) -> Option<&str> {
    let text = text.trim();
    if text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return Some(text);
    }
    let small = text.to_lowercase();
    COUNTRIES
        .iter()
        .find(|(code, names)| names.contains(&small.as_str()) || code.eq_ignore_ascii_case(text))
        .map(|(code, _)| *code)
}

/// The code of a region of a country, without the country's.
pub(crate) fn region(country: &str, text: &str) -> Option<String> {
    let text = text.trim();
    let code = text.strip_prefix(country).and_then(|rest| rest.strip_prefix('-')).unwrap_or(text);
    if (1..=3).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Some(code.to_ascii_uppercase());
    }
    let small = text.to_lowercase();
    let small = small.replace(['.', ','], "");
    let bare = ["壮族自治区", "回族自治区", "维吾尔自治区", "自治区", "特别行政区", "省", "市"]
        .iter()
        .find_map(|kind| small.strip_suffix(kind))
        .unwrap_or(&small);
    let (_, names) = REGIONS.iter().find(|(of, _)| *of == country)?;
    names.iter().find(|(_, name)| *name == bare).map(|(code, _)| (*code).to_owned())
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
        ] {
            assert_eq!(region(of, text).as_deref(), code, "{of} {text}");
        }
    }
}
