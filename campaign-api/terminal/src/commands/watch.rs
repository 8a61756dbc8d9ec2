//! `campaign watch`: a line whenever something changed, a bar where somebody looks, until the
//! campaign has ended, is halted or has stalled.

use std::{thread, time::Duration};

use dialer_types::say;
use serde_json::Value;

use super::campaigns::{counted, stall};
use crate::{
    arguments::Watch,
    desk::{Desk, print},
    find::{Kind, find},
    page::{Page, Tone, grouped, said},
    trouble::{DONE, STALLED, Trouble},
};

/// Looks in a row that must fail before watching ends: an API that is restarted is no end.
const FAILURES: u32 = 5;
/// Looks in a row at a stalled campaign: a dialer that has just started is not live at once.
const STALLS: u32 = 3;

pub(crate) fn run(desk: &Desk, watch: &Watch) -> Result<u8, Trouble> {
    let id = find(&desk.api, Kind::Campaign, &watch.campaign)?;
    let path = format!("/v1/campaigns/{id}");
    let bar = desk.bar(0, "{bar:40.green} {pos}/{len} {msg}");
    let (mut last, mut failures, mut stalls) = (String::new(), 0, 0);
    loop {
        let answer = match desk.api.get(&path, &[]) {
            Err(Trouble::Unreachable { .. } | Trouble::Refused { status: 500.., .. })
                if failures < FAILURES && !watch.once =>
            {
                failures += 1;
                thread::sleep(Duration::from_secs(watch.every));
                continue;
            }
            other => other?,
        };
        failures = 0;
        let campaign = &answer.value;
        let stalled = stall(campaign);
        stalls = if stalled.is_some() { stalls + 1 } else { 0 };
        bar.set_length(campaign["counts"]["contacts"].as_u64().unwrap_or(0));
        bar.set_position(finished(campaign));
        if desk.json {
            print(&format!("{}\n", answer.text.trim_end()))?;
        } else {
            let line = line(&desk.page, campaign);
            if line != last {
                let mut shown = Ok(());
                bar.suspend(|| shown = print(&format!("{line}\n")));
                shown?;
                last = line;
            }
        }
        let over = is_over(campaign);
        let going = campaign["status"] == "running" && !over;
        if watch.once || !going || stalls >= STALLS {
            bar.finish_and_clear();
            if over {
                desk.tell(&say!("Nothing is due any more: who is left is parked or finished."))?;
            }
            return end(desk, campaign, watch.once, stalled.is_some());
        }
        thread::sleep(Duration::from_secs(watch.every));
    }
}

/// The last word.
fn end(desk: &Desk, campaign: &Value, once: bool, stalled: bool) -> Result<u8, Trouble> {
    if !desk.json {
        print(&counted(&desk.page, &campaign["counts"]))?;
    }
    if stalled && !once { Ok(STALLED) } else { Ok(DONE) }
}

/// Whether a running campaign has nobody left to call. One without contacts is not over.
fn is_over(campaign: &Value) -> bool {
    let numbers = &campaign["counts"];
    let left = ["waiting", "due", "leased"];
    campaign["status"] == "running"
        && numbers["contacts"].as_i64() > Some(0)
        && left.iter().all(|state| numbers[*state] == 0)
}

fn sum(group: &Value) -> i64 {
    group.as_object().into_iter().flatten().filter_map(|(_, count)| count.as_i64()).sum()
}

fn finished(campaign: &Value) -> u64 {
    u64::try_from(sum(&campaign["counts"]["finished"])).unwrap_or(0)
}

/// One look in one line.
fn line(page: &Page, campaign: &Value) -> String {
    let numbers = &campaign["counts"];
    let status = page.word_of(&campaign["status"]);
    let said_line = say!(
        "{status}: {attempts} attempts, {answered} answered; {due} due, {leased} under way, {parked} parked, {finished} finished of {contacts}",
        status = page.tone(&status.0, status.1),
        attempts = said(&numbers["attempts"]),
        answered = said(&numbers["answered"]),
        due = said(&numbers["due"]),
        leased = said(&numbers["leased"]),
        parked = grouped(sum(&numbers["parked"])),
        finished = grouped(sum(&numbers["finished"])),
        contacts = said(&numbers["contacts"]),
    );
    let mut line = page.tell(&said_line);
    if let Some(stall) = stall(campaign) {
        line.push('\n');
        line.push_str(&page.tone(&stall, Tone::Bad));
    }
    line
}

#[cfg(test)]
mod tests {
    use dialer_types::Language;
    use serde_json::json;

    use super::*;
    use crate::page::tests::page;

    #[test]
    fn a_look_is_one_line_and_a_stall_is_said_plainly() {
        let campaign = json!({ "status": "running", "stalled": { "reason": "no_trunk", "sentence": "stalled: no trunk" },
            "counts": { "contacts": 1200, "due": 3, "leased": 1, "parked": { "consent": 2, "address": 1 },
                "finished": { "completed": 5 }, "attempts": 9, "answered": 4 } });
        assert_eq!(
            line(&page(Language::English), &campaign),
            "running: 9 attempts, 4 answered; 3 due, 1 under way, 3 parked, 5 finished of 1,200\nstalled: no trunk"
        );
        assert!(
            line(&page(Language::Chinese), &campaign).starts_with("运行中：外呼 9 次，接通 4 次")
        );
        assert_eq!(finished(&campaign), 5);
        assert!(!is_over(&campaign));
        let mut over = campaign;
        for state in ["waiting", "due", "leased"] {
            over["counts"][state] = json!(0);
        }
        assert!(is_over(&over));
        over["status"] = json!("paused");
        assert!(!is_over(&over));
    }
}
