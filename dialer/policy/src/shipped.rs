//! The packs that ship with this build.

use crate::PackSource;

macro_rules! packs {
    ($($name:literal),+ $(,)?) => {
        &[$(PackSource {
            name: $name,
            text: include_str!(concat!(
                env!("CARGO_MANIFEST_DIR"), "/../../schema/rules/", $name
            )),
        }),+]
    };
}

/// Every file under `schema/rules`.
pub const PACKS: &[PackSource<'static>] = packs![
    "ae.toml",
    "ar.toml",
    "at.toml",
    "au.toml",
    "be.toml",
    "br.toml",
    "ca.toml",
    "cn.toml",
    "de.toml",
    "es.toml",
    "eu.toml",
    "fr.toml",
    "gb.toml",
    "hk.toml",
    "house.toml",
    "in.toml",
    "it.toml",
    "jp.toml",
    "kr.toml",
    "mx.toml",
    "nl.toml",
    "nz.toml",
    "pl.toml",
    "pt.toml",
    "sa.toml",
    "sg.toml",
    "tr.toml",
    "us-al.toml",
    "us-az.toml",
    "us-ca.toml",
    "us-ct.toml",
    "us-dc.toml",
    "us-fl.toml",
    "us-ga.toml",
    "us-il.toml",
    "us-in.toml",
    "us-ky.toml",
    "us-la.toml",
    "us-ma.toml",
    "us-md.toml",
    "us-me.toml",
    "us-mi.toml",
    "us-mn.toml",
    "us-ms.toml",
    "us-ne.toml",
    "us-nj.toml",
    "us-nm.toml",
    "us-nv.toml",
    "us-ny.toml",
    "us-ok.toml",
    "us-or.toml",
    "us-pa.toml",
    "us-ri.toml",
    "us-sc.toml",
    "us-sd.toml",
    "us-tn.toml",
    "us-tx.toml",
    "us-ut.toml",
    "us-va.toml",
    "us-wa.toml",
    "us-wy.toml",
    "us.toml",
    "za.toml",
    "calendars/au.toml",
    "calendars/br.toml",
    "calendars/es.toml",
    "calendars/fr.toml",
    "calendars/gb.toml",
    "calendars/it.toml",
    "calendars/us.toml",
    "calendars/za.toml",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Options, Ruleset};

    #[test]
    fn every_file_of_the_schema_is_shipped_and_without_fault() {
        let rules = concat!(env!("CARGO_MANIFEST_DIR"), "/../../schema/rules");
        let files = |folder: &str| {
            let entries = std::fs::read_dir(format!("{rules}/{folder}")).unwrap();
            let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
            names.filter(|name| name.ends_with(".toml")).count()
        };
        assert_eq!(PACKS.len(), files("") + files("calendars"));
        let law = Ruleset::shipped(Options { house: false }).unwrap();
        let house = Ruleset::shipped(Options { house: true }).unwrap();
        assert_ne!(law.version(), house.version());
        assert!(law.rule_ids().all(|id| !id.is_house()));
        assert_eq!(house.rule_ids().count(), law.rule_ids().count() + 7);
    }
}
