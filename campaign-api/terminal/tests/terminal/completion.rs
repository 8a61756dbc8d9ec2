//! Completion, in a real bash.

use std::{fs, process::Command};

use crate::world::{folder, program, run};

/// What bash offers after these words; the last one is being typed.
fn offered(script: &str, words: &[&str]) -> Vec<String> {
    let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
    let last = words.len() - 1;
    let before = if last > 0 { words[last - 1] } else { "" };
    let program = words[0];
    // As bash itself does on TAB: the function that is registered for the program's last part.
    let asked = format!(
        "source '{script}' || exit 9
         registered=$(complete -p ringfence) || exit 8
         function=$(sed 's/.*-F \\([^ ]*\\).*/\\1/' <<<\"$registered\")
         COMP_WORDS=({}) COMP_CWORD={last} COMPREPLY=()
         \"$function\" '{program}' '{}' '{before}'
         printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        quoted.join(" "),
        words[last],
    );
    let output = Command::new("bash").args(["--norc", "-c", &asked]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn bash_loads_the_script_and_completes_our_words() {
    let folder = folder();
    let made = run(program(&folder).args(["completion", "bash"]));
    assert_eq!(made.code, 0, "{made:?}");
    let script = folder.join("completion");
    fs::write(&script, &made.out).unwrap();
    let script = script.to_str().unwrap();
    for program in ["ringfence", "./ringfence"] {
        assert!(offered(script, &[program, "campaign"]).contains(&"campaign".to_owned()));
        let begun = offered(script, &[program, "cam"]);
        assert_eq!(begun, ["campaign", "campaign-api"], "{program}");
        assert_eq!(offered(script, &[program, "campaign", "sta"]), ["start"], "{program}");
        assert_eq!(offered(script, &[program, "dem"]), ["demo"], "{program}");
    }
    let flags = offered(script, &["ringfence", "why", "--c"]);
    assert!(flags.contains(&"--campaign".to_owned()), "{flags:?}");
    let words = offered(script, &["ringfence", "campaign", "create", "--purpose", "tele"]);
    assert_eq!(words, ["telemarketing"]);
    fs::remove_dir_all(folder).ok();
}

#[test]
fn zsh_and_fish_get_a_script_of_their_own() {
    let folder = folder();
    for (shell, mark) in [("zsh", "#compdef ringfence"), ("fish", "complete -c ringfence")] {
        let made = run(program(&folder).args(["completion", shell]));
        assert_eq!(made.code, 0, "{made:?}");
        assert!(made.out.contains(mark), "{shell}");
    }
    fs::remove_dir_all(folder).ok();
}
