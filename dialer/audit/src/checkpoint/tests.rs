use proptest::prelude::*;

use super::*;
use crate::tree::leaf_hash;

/// The example of Go's `golang.org/x/mod/sumdb/note`, from which C2SP `signed-note` comes.
const GO_KEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const GO_NOTE: &str = "If you think cryptography is the answer to your problem,\n\
    then you don't know what your problem is.\n\n\
    \u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

fn signer(seed: u8) -> Signer {
    Signer::from_seed("audit.example.com", &[seed; 32]).unwrap()
}

fn checkpoint() -> Checkpoint {
    let mut tree = Tree::new();
    (0..5).for_each(|no| tree.append(leaf_hash(&[no])));
    Checkpoint::of("audit.example.com/log", &tree)
}

#[test]
fn a_note_signed_elsewhere_opens_with_its_key() {
    let key: VerifierKey = GO_KEY.parse().unwrap();
    assert_eq!(key.to_string(), GO_KEY);
    assert_eq!(key.name(), "PeterNeumann");
    assert!(key.open(GO_NOTE).unwrap().ends_with("your problem is.\n"));
    let changed = GO_NOTE.replace("answer", "Answer");
    assert_eq!(key.open(&changed), Err(CheckpointError::BadSignature("PeterNeumann".into())));
}

#[test]
fn a_checkpoint_survives_signing_and_opening() {
    let signed = signer(1).sign(&checkpoint()).unwrap();
    let key: VerifierKey = signer(1).verifier().to_string().parse().unwrap();
    assert_eq!(Checkpoint::open(&signed, &key), Ok(checkpoint()));
    assert!(signed.starts_with("audit.example.com/log\n5\n"));
    assert!(!format!("{:?}", signer(1)).contains("key"));
}

#[test]
fn signatures_of_witnesses_are_passed_over_and_extension_lines_are_signed() {
    let text = format!("{}extension\n", checkpoint());
    let mut bytes = signer(1).verifier().id.to_vec();
    bytes.extend(signer(1).key.sign(text.as_bytes()).to_bytes());
    let line = format!("\u{2014} audit.example.com {}\n", STANDARD.encode(bytes));
    let witness = "\u{2014} witness.example.net AAAAAAECAwQ=\n";
    let key = signer(1).verifier();
    for signed in [format!("{text}\n{witness}{line}"), format!("{text}\n{line}{witness}")] {
        assert_eq!(Checkpoint::open(&signed, &key), Ok(checkpoint()));
        assert!(Checkpoint::open(&signed.replace("extension", "Extension"), &key).is_err());
    }
    let unsigned = format!("{text}\n{witness}");
    assert!(matches!(Checkpoint::open(&unsigned, &key), Err(CheckpointError::NotSigned(_))));
}

#[test]
fn a_signature_by_another_key_of_the_same_name_does_not_count() {
    let signed = signer(2).sign(&checkpoint()).unwrap();
    let error = Checkpoint::open(&signed, &signer(1).verifier()).unwrap_err();
    assert!(matches!(error, CheckpointError::NotSigned(_)), "{error}");
}

#[test]
fn texts_that_are_no_checkpoints_are_refused() {
    let root = STANDARD.encode([0; 32]);
    for text in [
        String::new(),
        "log\n".into(),
        "log\n5\n".into(),
        format!("\n5\n{root}\n"),
        format!("log\n05\n{root}\n"),
        format!("log\n+5\n{root}\n"),
        format!("log\n-5\n{root}\n"),
        format!("log\n5\n{}\n", STANDARD.encode([0; 31])),
        "log\n5\nnot base64\n".into(),
    ] {
        let mut bytes = signer(1).verifier().id.to_vec();
        bytes.extend(signer(1).key.sign(text.as_bytes()).to_bytes());
        let signed = format!("{text}\n\u{2014} audit.example.com {}\n", STANDARD.encode(bytes));
        let result = Checkpoint::open(&signed, &signer(1).verifier());
        assert!(
            matches!(result, Err(CheckpointError::Body(_) | CheckpointError::Note(_))),
            "{text:?}"
        );
    }
    let forged = Checkpoint { origin: "log\n9".into(), ..checkpoint() };
    assert!(signer(1).sign(&forged).is_err());
}

#[test]
fn keys_with_another_hash_kind_or_name_are_refused() {
    for bad in [
        "",
        "name",
        "name+c74f20a3",
        "Peter Neumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "PeterNeuman+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "PeterNeumann+C74F20A3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "PeterNeumann+c74f20a3+Ahpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "PeterNeumann+c74f20a3+ARpc",
        "PeterNeumann+c74f20a3+***",
    ] {
        assert!(bad.parse::<VerifierKey>().is_err(), "{bad}");
    }
    assert_eq!(Signer::from_seed("two words", &[0; 32]).unwrap_err(), CheckpointError::Name);
}

proptest! {
    #[test]
    fn a_changed_character_is_found_and_nothing_panics(at in any::<prop::sample::Index>(), to: char) {
        let signed = signer(1).sign(&checkpoint()).unwrap();
        let mut chars: Vec<char> = signed.chars().collect();
        let at = at.index(chars.len());
        prop_assume!(chars[at] != to);
        chars[at] = to;
        let changed: String = chars.into_iter().collect();
        prop_assert!(Checkpoint::open(&changed, &signer(1).verifier()).is_err());
    }

    #[test]
    fn no_text_makes_a_panic(text in "(\\PC|\n|\u{2014} ){0,200}") {
        let opened = Checkpoint::open(&text, &signer(1).verifier());
        prop_assert!(opened.is_err());
        prop_assert!(text.parse::<VerifierKey>().is_err());
    }
}
