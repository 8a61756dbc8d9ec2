//! Numbers that belong to nobody: ranges reserved for fiction where a country has them (555-01xx,
//! Ofcom, ARCEP and ACMA drama numbers), other 555 numbers once those are used up, and made-up
//! ones for China. The carrier is on loopback: nothing here is ever dialled on a real network.

use std::collections::HashMap;

/// Hands out each number once.
#[derive(Debug, Default)]
pub(crate) struct Numbers(HashMap<&'static str, u64>);

const GB: &[&str] = &[
    "+44207946",
    "+44113496",
    "+44114496",
    "+44115496",
    "+44116496",
    "+44117496",
    "+44118496",
    "+44121496",
    "+44131496",
    "+44141496",
    "+44151496",
    "+44161496",
];
const FR: &[&str] = &["+3319900", "+3326191", "+3335301", "+3346571", "+3353649"];

impl Numbers {
    /// The next number of a +1 area code.
    pub(crate) fn north_america(&mut self, area: &'static str) -> String {
        let index = self.next(area);
        let (exchange, line) = match index {
            0..=99 => (555, 100 + index),
            100..=9_899 => (555, 100 + index),
            _ => (200 + (index - 9_900) / 10_000 % 355, (index - 9_900) % 10_000),
        };
        format!("+1{area}{exchange}{line:04}")
    }

    /// The next number of a country outside +1: `GB`, `FR`, `AU` (with the trunk digit), `CN`, `DE`.
    pub(crate) fn abroad(&mut self, country: &'static str, mobile: bool, digit: char) -> String {
        let key = match (country, mobile) {
            ("GB", true) => "GBm",
            ("FR", true) => "FRm",
            _ => country,
        };
        let index = self.next(key);
        let series = |prefixes: &[&'static str], each: u64| {
            let which = usize::try_from(index / each).unwrap_or(usize::MAX);
            prefixes.get(which % prefixes.len().max(1)).copied().unwrap_or("+0")
        };
        match key {
            "GB" if index < 12_000 => format!("{}0{:03}", series(GB, 1000), index % 1000),
            "GBm" if index < 1000 => format!("+447700900{index:03}"),
            "GB" | "GBm" => format!("+4479{index:08}"),
            "FR" if index < 50_000 => format!("{}{:04}", series(FR, 10_000), index % 10_000),
            "FRm" if index < 10_000 => format!("+3363998{index:04}"),
            "FR" | "FRm" => format!("+337{index:08}"),
            "AU" if index < 10_000 => format!("+61{digit}5550{index:04}"),
            "AU" => format!("+614{index:08}"),
            "DE" => format!("+493023125{index:03}"),
            _ => format!("+86138{index:08}"),
        }
    }

    fn next(&mut self, key: &'static str) -> u64 {
        let next = self.0.entry(key).or_default();
        *next += 1;
        *next - 1
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_number_is_handed_out_twice_and_the_first_are_reserved_ones() {
        let mut numbers = Numbers::default();
        let mut seen = HashSet::new();
        for round in 0..11_000 {
            for number in [
                numbers.north_america("305"),
                numbers.abroad("GB", false, '0'),
                numbers.abroad("GB", true, '0'),
                numbers.abroad("FR", false, '0'),
                numbers.abroad("AU", false, '2'),
                numbers.abroad("CN", true, '0'),
            ] {
                assert!(number.parse::<dialer_types::E164>().is_ok(), "{number}");
                assert!(round > 0 || !seen.contains(&number));
                assert!(seen.insert(number.clone()), "{number} twice");
            }
        }
        assert!(seen.contains("+13055550100") && seen.contains("+442079460000"));
    }
}
