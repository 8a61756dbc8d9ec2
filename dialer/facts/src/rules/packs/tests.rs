//! Folders and files as editors, importers and ConfigMaps change them.

use std::{fs, os::unix::fs::symlink};

use dialer_policy::Options;

use super::*;

/// A folder of its own that goes away by itself.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("rf-packs-{name}-{}", std::process::id()));
        fs::remove_dir_all(&path).ok();
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }
    fn put(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

fn gap(hours: &str) -> String {
    format!("[[override]]\nrule = \"house.min_gap\"\nhours = {hours}\n")
}

fn is_same(looked: &Looked) -> bool {
    matches!(looked, Looked::Same)
}

#[test]
fn a_change_is_taken_when_two_looks_in_a_row_found_it() {
    let place = Place::new("change");
    let house = place.put("house.toml", &gap("2"));
    let mut packs = Packs::open(None, Some(&house)).unwrap();
    let first = packs.held().version();
    assert!(is_same(&packs.look()));
    for half_written in ["3", "4", "5"] {
        place.put("house.toml", &gap(half_written));
        assert!(is_same(&packs.look()), "it is still being written");
    }
    assert!(matches!(packs.look(), Looked::Changed { before } if before == first));
    let second = packs.held().version();
    assert_ne!(first, second);
    assert!(is_same(&packs.look()) && is_same(&packs.look()));
    place.put("house.toml", &gap("2"));
    assert!(is_same(&packs.look()));
    assert!(matches!(packs.look(), Looked::Changed { before } if before == second));
    assert_eq!(packs.held().version(), first, "the version says what is in them, not when");
    assert!(is_same(&Packs::open(None, None).unwrap().look()), "what ships does not change");
}

#[test]
fn faulty_packs_are_refused_once_for_each_change_and_the_last_good_ones_are_held_on() {
    let place = Place::new("faulty");
    let house = place.put("house.toml", &gap("2"));
    let mut packs = Packs::open(None, Some(&house)).unwrap();
    let good = packs.held().version();
    let refused = |packs: &mut Packs, told: &str| {
        let was = packs.is_refused();
        assert!(is_same(&packs.look()) && packs.is_refused() == was, "another fault mends none");
        match packs.look() {
            Looked::Refused(error) => assert!(error.to_string().contains(told), "{error}"),
            other => panic!("{other:?}"),
        }
        assert!(packs.is_refused() && is_same(&packs.look()) && is_same(&packs.look()), "once");
        assert_eq!(packs.held().version(), good);
    };
    place.put("house.toml", &gap("\"two\""));
    refused(&mut packs, "house.toml:3: ");
    place.put("house.toml", &gap("\"three\""));
    refused(&mut packs, "house.toml:3: ");
    fs::remove_file(&house).unwrap();
    refused(&mut packs, "cannot read");
    place.put("house.toml", &gap("2"));
    assert!(matches!(packs.look(), Looked::Mended) && !packs.is_refused());
    assert!(is_same(&packs.look()));
    fs::remove_file(&house).unwrap();
    assert!(is_same(&packs.look()), "a file that is being replaced is away for a moment");
    place.put("house.toml", &gap("2"));
    assert!(is_same(&packs.look()) && !packs.is_refused());
    place.put("house.toml", "[[override]\n");
    refused(&mut packs, "house.toml:1: ");
    place.put("house.toml", &gap("6"));
    assert!(is_same(&packs.look()) && packs.is_refused());
    assert!(matches!(packs.look(), Looked::Changed { .. }) && !packs.is_refused());
}

#[test]
fn what_is_no_text_of_a_packs_size_is_refused() {
    let place = Place::new("size");
    let house = place.put("house.toml", &gap("2"));
    let open = |path: &Path| Packs::open(None, Some(path)).map(|_| ()).unwrap_err().to_string();
    fs::write(&house, " ".repeat(usize::try_from(super::super::MAX_BYTES).unwrap() + 1)).unwrap();
    assert!(open(&house).contains("more than 4194304 bytes"), "{}", open(&house));
    fs::write(&house, [0xFF, 0xFE]).unwrap();
    assert!(open(&house).contains("house.toml"));
    assert!(open(&place.0).contains("it is no file"));
}

/// As the kubelet does it: `house.toml -> ..data/house.toml`, `..data -> ..2026_11_27`, and a change
/// is one rename of the link `..data`.
#[test]
fn a_config_map_is_read_through_its_links_and_swapped_with_them() {
    let place = Place::new("links");
    let mount = |stamp: &str, hours: &str| {
        place.put(&format!("{stamp}/us.toml"), "");
        place.put(&format!("{stamp}/house.toml"), &gap(hours));
        symlink(stamp, place.0.join("..new")).unwrap();
        fs::rename(place.0.join("..new"), place.0.join("..data")).unwrap();
    };
    mount("..2026_11_27", "2");
    for name in ["us.toml", "house.toml"] {
        symlink(format!("..data/{name}"), place.0.join(name)).unwrap();
    }
    let folder = Written::read(Some(&place.0), None).unwrap();
    let names: Vec<&str> = folder.texts.iter().map(|(name, _)| &**name).collect();
    assert_eq!(names, ["house.toml", "us.toml"], "each once, and nothing of the folders with dots");
    let mut packs = Packs::open(None, Some(&place.0.join("house.toml"))).unwrap();
    let before = packs.held().version();
    mount("..2026_11_28", "3");
    fs::remove_dir_all(place.0.join("..2026_11_27")).unwrap();
    assert!(is_same(&packs.look()));
    assert!(matches!(packs.look(), Looked::Changed { .. }));
    assert_ne!(packs.held().version(), before);
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (path, name) = entry.map(|entry| (entry.path(), entry.file_name())).unwrap();
        if path.is_dir() {
            copy(&path, &to.join(name));
        } else {
            fs::copy(&path, to.join(name)).unwrap();
        }
    }
}

#[test]
fn a_folder_of_packs_is_taken_whole_files_that_came_and_went_with_it() {
    let place = Place::new("folder");
    let folder = place.0.join("rules");
    copy(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../schema/rules")), &folder);
    let answer = |rule: &str, second: &str| {
        format!(
            "[[departure]]\nrule = \"{rule}\"\nreason = \"repealed\"\nby = \"A\"\nsecond_person = \"{second}\"\n"
        )
    };
    let shipped = Written::read(Some(&folder), None).unwrap().ruleset(Options { house: true });
    let shipped = shipped.unwrap();
    let californian = shipped.rule_ids().filter(|rule| rule.as_str().starts_with("us.ca."));
    let own: String = californian.map(|rule| answer(rule.as_str(), "B")).collect();
    let house = place.put("house.toml", &own);
    let mut packs = Packs::open(Some(&folder), Some(&house)).unwrap();
    let all = packs.held();
    let has = |rules: &Ruleset, wanted: &str| rules.rule_ids().any(|rule| rule.as_str() == wanted);
    assert!(has(&all, "us.ca.adad"));
    fs::remove_file(folder.join("us-ca.toml")).unwrap();
    assert!(is_same(&packs.look()));
    assert!(matches!(packs.look(), Looked::Changed { before } if before == all.version()));
    assert!(!has(&packs.held(), "us.ca.adad"));
    // A second file with the same rules.
    fs::copy(folder.join("us.toml"), folder.join("us copy.toml")).unwrap();
    packs.look();
    match packs.look() {
        Looked::Refused(RulesError::Faults(faults)) => {
            assert!(faults.iter().any(|fault| fault.to_string().contains("us")), "{faults:?}");
        }
        other => panic!("{other:?}"),
    }
    fs::remove_file(folder.join("us copy.toml")).unwrap();
    assert!(matches!(packs.look(), Looked::Mended));
    copy(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../schema/rules")), &folder);
    packs.look();
    assert!(matches!(packs.look(), Looked::Changed { .. }));
    assert_eq!(packs.held().version(), all.version());
}

#[test]
fn a_folder_departs_from_the_law_that_ships_only_where_two_people_answer_for_it() {
    let place = Place::new("departure");
    let folder = place.0.join("rules");
    copy(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../schema/rules")), &folder);
    let file = folder.join("us-ok.toml");
    let text = fs::read_to_string(&file).unwrap();
    let before = "limits = [{ max = 3, hours = 24 }]";
    assert!(text.contains(before));
    fs::write(&file, text.replacen(before, "limits = [{ max = 5, hours = 24 }]", 1)).unwrap();
    let open = |own: &str| {
        let house = place.put("house.toml", own);
        Packs::open(Some(&folder), Some(&house)).map(|_| ()).map_err(|error| error.to_string())
    };
    let told = open("").unwrap_err();
    assert!(told.contains("us.ok.cap") && told.contains("[[departure]]"), "{told}");
    let answer = |second: &str| {
        format!(
            "[[departure]]\nrule = \"us.ok.cap\"\nreason = \"newer law\"\nby = \"Ann\"\nsecond_person = \"{second}\"\n"
        )
    };
    let alone = open(&answer("ann.")).unwrap_err();
    assert!(alone.contains("departure[0].second_person: is the same as `by`"), "{alone}");
    assert_eq!(open(&answer("Ben")), Ok(()));
    fs::remove_dir_all(&folder).unwrap();
    fs::create_dir_all(&folder).unwrap();
    fs::copy(
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../schema/rules/house.toml"),
        folder.join("house.toml"),
    )
    .unwrap();
    let told = open("").unwrap_err();
    assert!(told.contains("no rule of the law in force"), "{told}");
}
