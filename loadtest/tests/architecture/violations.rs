//! Each check sees a violation, and does not see one where there is none.

use serde_json::{Value, json};

use crate::{
    checks::{
        LONGEST_FILE, badly_shaped, impure_links, impure_sources, missing_fences, stray_invites,
        stray_rsip, stray_unsafe, unlinted, wrong_directions,
    },
    code::{Source, lines_with, outside_test_files},
    workspace::{Member, members_of},
};

/// A workspace of two members, of which the first links the second, a library, and through it another.
fn fake_members(first: &str, second: &str, library: &str, below: &str) -> Vec<Member> {
    let edge =
        |to: &str, kind: Value| json!({"pkg": to, "dep_kinds": [{"kind": kind, "target": null}]});
    members_of(&json!({
        "workspace_root": "/w",
        "workspace_members": ["1", "2"],
        "packages": [
            {"id": "1", "name": first, "manifest_path": "/w/one/Cargo.toml"},
            {"id": "2", "name": second, "manifest_path": "/w/two/Cargo.toml"},
            {"id": "3", "name": library, "manifest_path": "/r/3/Cargo.toml"},
            {"id": "4", "name": below, "manifest_path": "/r/4/Cargo.toml"},
            {"id": "5", "name": "tokio", "manifest_path": "/r/5/Cargo.toml"},
        ],
        "resolve": {"nodes": [
            {"id": "1", "deps": [edge("2", Value::Null), edge("3", Value::Null), edge("5", json!("dev"))]},
            {"id": "2", "deps": []},
            {"id": "3", "deps": [edge("4", Value::Null)]},
            {"id": "4", "deps": []},
            {"id": "5", "deps": []},
        ]},
    }))
}

fn in_policy(text: &str) -> Vec<String> {
    let mut members = fake_members("dialer-policy", "dialer-types", "serde", "serde_core");
    members
        .iter_mut()
        .for_each(|member| member.folder = member.name.replace("dialer-", "dialer/") + "/");
    impure_sources(
        &members,
        &outside_test_files(vec![Source::new("dialer/policy/src/lib.rs", text)]),
    )
}

#[test]
fn a_wrong_direction_is_found() {
    assert_eq!(
        wrong_directions(&fake_members("dialer-policy", "dialer-types", "serde", "x")),
        [""; 0]
    );
    for (from, to) in [
        ("dialer", "dialer-sip"),
        ("dialer-sip", "dialer-types"),
        ("dialer-policy", "dialer-limiter"),
        ("campaign-api", "dialer-engine"),
        ("loadtest", "dialer-policy"),
        ("loadtest", "dialer-limiter"),
        ("loadtest", "dialer-engine"),
        ("dialer-engine", "schema"),
    ] {
        assert_eq!(
            wrong_directions(&fake_members(from, to, "serde", "x")),
            [format!("{from} must not depend on {to}")]
        );
    }
    assert_eq!(wrong_directions(&fake_members("stranger", "dialer-types", "serde", "x")).len(), 1);
}

#[test]
fn a_runtime_below_a_pure_crate_is_found_and_one_for_its_tests_is_not() {
    assert_eq!(impure_links(&fake_members("dialer-audit", "dialer-types", "serde", "x")), [""; 0]);
    for below in ["tokio", "tokio-util", "sqlx-core", "redis", "axum", "reqwest", "smol", "hyper"] {
        let wrong = impure_links(&fake_members("dialer-audit", "dialer-types", "serde", below));
        assert_eq!(wrong, [format!("dialer-audit is pure and links {below} (through serde)")]);
    }
    assert_eq!(
        impure_links(&fake_members("dialer-audit", "dialer-types", "getrandom", "x")).len(),
        1
    );
    assert_eq!(impure_links(&fake_members("dialer", "dialer-types", "serde", "tokio")), [""; 0]);
}

#[test]
fn an_impure_line_in_a_pure_crate_is_found() {
    for line in [
        "async fn load() {}",
        "let rows = store.read().await;",
        "let now = SystemTime::now();",
        "let now = std::time::Instant::now();",
        "use std::fs;",
        "use std::{collections::BTreeMap, fs::File};",
        "use std::{\n    collections::{BTreeMap, BTreeSet},\n    env,\n};",
        "let key = std::env::var(name);",
        "use std::net::{IpAddr, UdpSocket};",
        "let socket = TcpStream::connect(to);",
        "getrandom::fill(&mut bytes);",
        "let dice = rand::thread_rng();",
        "let key = OsRng.next_u64();",
        "#[cfg(test)]\nmod tests {}\nfn late() { SystemTime::now(); }",
        "use std::{fmt, net::IpAddr};\nstruct S { a: u8, b: u8 }\nfn f() { g(a, async { 1 }); }",
        "const QUOTE: char = '\"';\nfn late() { SystemTime::now(); }\nconst OTHER: char = '\"';",
        "const RAW: &str = r#\"a \" quote\"#; fn late() { SystemTime::now(); }",
    ] {
        assert_eq!(in_policy(line).len(), 1, "{line}: {:?}", in_policy(line));
    }
    assert_eq!(
        in_policy("\n\nfn late() { Instant::now(); }"),
        ["dialer/policy/src/lib.rs:3: dialer-policy is pure and says `Instant::now`"]
    );
}

#[test]
fn comments_strings_tests_and_longer_words_are_not_impure() {
    for line in [
        "// never SystemTime::now() here",
        "/// `Instant::now` /* is */ for others\nfn f<'a>(x: &'a str) -> &'a str { x }",
        "/* std::fs /* nested */ std::env */",
        "const WHY: &str = \"no std::fs, no \\\" std::env\";",
        "const WHY: &str = r#\"no \" std::fs\"#;",
        "const WHY: &[u8] = br\"no std::fs \\\";",
        "#[cfg(test)]\n#[expect(clippy::x)]\nmod tests { fn now() { Instant::now(); } }",
        "#[cfg(test)]\nuse std::fs;",
        "fn asynchronous() { my_std::fs(); not_getrandom(); }",
        "use std::{collections::BTreeMap, net::IpAddr, time::{Duration, Instant}};",
        "use std::{fmt, str};\nfn f(env: u8) { g(1, env); }",
    ] {
        assert_eq!(in_policy(line), [""; 0], "{line}");
    }
    let parent = Source::new("dialer/policy/src/gate.rs", "#[cfg(test)]\nmod proofs;");
    let child = Source::new("dialer/policy/src/gate/proofs.rs", "fn now() { Instant::now(); }");
    let shipped = Source::new("dialer/policy/src/gate/law.rs", "fn now() { Instant::now(); }");
    let sources = outside_test_files(vec![parent, child, shipped]);
    assert_eq!(
        sources
            .iter()
            .filter(|source| !lines_with(&source.shipped, "Instant::now").is_empty())
            .count(),
        1
    );
}

#[test]
fn rsip_outside_the_wire_is_found() {
    let at = |path: &str| {
        stray_rsip(&[Source::new(path, "use rsip::Uri;\nfn f(u: rsip::Uri) {}")]).len()
    };
    assert_eq!(at("dialer/sip/src/wire/typed.rs"), 0);
    assert_eq!(at("dialer/sip/src/dialog.rs"), 2);
    assert_eq!(at("loadtest/src/carrier.rs"), 2);
}

#[test]
fn a_second_way_to_an_invite_is_found() {
    let call = "#[expect(clippy::disallowed_methods, reason = \"here\")]\nfn place(e: &mut Endpoint) { e.invite(i, now); }";
    let engine = || Source::new("dialer/engine/src/place.rs", call);
    assert_eq!(stray_invites(&[engine()]), [""; 0]);
    assert_eq!(stray_invites(&[]).len(), 2);
    assert_eq!(
        stray_invites(&[engine(), Source::new("dialer/engine/src/other.rs", call)]).len(),
        2
    );
    for code in [
        "fn f() { endpoint.invite(i, now); }",
        "let send = Endpoint::invite;",
        "Endpoint::invite(&mut e, i, now);",
    ] {
        for path in [
            "dialer/src/driver.rs",
            "loadtest/src/carrier.rs",
            "dialer/sim/src/world.rs",
            "dialer/engine/tests/t.rs",
        ] {
            assert_eq!(
                stray_invites(&[engine(), Source::new(path, code)]).len(),
                1,
                "{path}: {code}"
            );
        }
    }
    let silenced =
        "#[expect(clippy::disallowed_methods)]\nfn f(core: &mut Core) { core.invite(i, now); }";
    assert_eq!(stray_invites(&[engine(), Source::new("dialer/src/driver.rs", silenced)]).len(), 1);
    for own in
        ["fn f(&mut self, e: &Endpoint) { self.invite(i); }", "fn f(log: Log) { log.invite(i); }"]
    {
        assert_eq!(stray_invites(&[engine(), Source::new("loadtest/src/log.rs", own)]), [""; 0]);
    }
}

#[test]
fn a_fence_without_its_method_is_found() {
    let fence = |path: &str| format!("{{ path = \"{path}\", reason = \"x\" }},\n");
    let clippy = fence("dialer_sip::Endpoint::invite")
        + &fence("dialer_limiter::Reservation::assertion")
        + &fence("dialer_audit::Receipt::assertion");
    let sources = |method: &str| {
        vec![
            Source::new("dialer/sip/src/endpoint.rs", &format!("pub fn {method}(&mut self) {{}}")),
            Source::new("dialer/limiter/src/lib.rs", "pub fn assertion() {}"),
            Source::new("dialer/audit/src/lib.rs", "pub fn assertion() {}"),
        ]
    };
    assert_eq!(missing_fences(&clippy, &sources("invite")), [""; 0]);
    assert_eq!(missing_fences(&clippy, &sources("invite_party")).len(), 1);
    assert_eq!(missing_fences("", &sources("invite")).len(), 3);
}

#[test]
fn a_member_without_the_lints_is_found() {
    let workspace =
        "[workspace.lints.rust]\nunsafe_code = \"forbid\"\na = \"deny\"\n[profile.dev]\n";
    let without = "[package]\nname = \"x\"\n[dependencies]\nworkspace = true";
    assert_eq!(unlinted("x", "[package]\n[lints]\nworkspace = true\n", workspace), [""; 0]);
    assert_eq!(unlinted("x", without, workspace).len(), 1);
    let own = "[lints.rust]\n# why\nunsafe_code = \"deny\"\na = \"deny\"\n";
    assert_eq!(unlinted("dialer-lists", own, workspace), [""; 0]);
    assert_eq!(unlinted("x", own, workspace).len(), 1, "only one may have its own");
    for weaker in [own.replace("a = \"deny\"\n", ""), own.replace("\"deny\"", "\"allow\"")] {
        assert_eq!(unlinted("dialer-lists", &weaker, workspace).len(), 1, "{weaker}");
    }
}

#[test]
fn unsafe_code_in_a_second_place_is_found() {
    let home = || Source::new("dialer/lists/src/bytes.rs", "fn f() { unsafe { g() } } // unsafe");
    assert_eq!(stray_unsafe(&[home()]), [""; 0]);
    let named = Source::new("dialer/src/x.rs", "#![deny(unsafe_code)]\nfn not_unsafe() {}");
    assert_eq!(stray_unsafe(&[home(), named]), [""; 0]);
    let second = Source::new("dialer/src/x.rs", "fn f() { unsafe { g() } }");
    assert_eq!(stray_unsafe(&[home(), second]).len(), 1);
    let twice = Source::new("dialer/lists/src/bytes.rs", "unsafe fn f() { unsafe { g() } }");
    assert_eq!(stray_unsafe(&[twice]).len(), 1);
    assert_eq!(stray_unsafe(&[]).len(), 1);
}

#[test]
fn a_long_file_and_an_empty_name_are_found() {
    let shape = |path: &str, text: &str| badly_shaped(&[Source::new(path, text)]).len();
    assert_eq!(shape("dialer/src/driver.rs", &"\n".repeat(LONGEST_FILE)), 0);
    assert_eq!(shape("dialer/src/driver.rs", &"\n".repeat(LONGEST_FILE + 1)), 1);
    for name in ["session", "call_manager", "utils", "helpers", "context/mod"] {
        assert_eq!(shape(&format!("dialer/src/{name}.rs"), ""), 1, "{name}");
    }
    assert_eq!(shape("dialer/src/lib.rs", "mod a;\npub mod event_handler {\n}\nmod b;"), 1);
    assert_eq!(shape("dialer/sip/src/session_timer.rs", "mod session_timer;"), 0);
}
