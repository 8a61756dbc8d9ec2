//! What can be done to a running Postgres: all its processes frozen, one killed in a commit.

use std::fs;

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::stack::Stack;

/// Looks for a backend of a program that is writing its commit to the disk, at most two seconds,
/// and kills it from within: a signal from here would come when the commit is done. Postgres then
/// ends all its backends and recovers, this one too, so the statement never succeeds.
const KILL_IN_COMMIT: &str = "DO $$
DECLARE victim int;
BEGIN
    FOR look IN 1..1000 LOOP
        PERFORM pg_stat_clear_snapshot();
        SELECT pid INTO victim FROM pg_stat_activity
        WHERE usename = 'app' AND wait_event IN ('WALSync', 'WALWrite') LIMIT 1;
        IF look = 1000 THEN
            SELECT pid INTO victim FROM pg_stat_activity WHERE usename = 'app' LIMIT 1;
        END IF;
        IF victim IS NOT NULL THEN
            EXECUTE format('COPY (SELECT 1) TO PROGRAM %L', 'kill -KILL ' || victim);
            EXIT;
        END IF;
        PERFORM pg_sleep(0.002);
    END LOOP;
END $$";

/// Kills a backend in the middle of a commit.
pub(super) fn kill_in_commit(stack: &Stack) {
    // It ends with the connection lost.
    stack.sql(KILL_IN_COMMIT).ok();
}

/// Freezes all of Postgres.
pub(super) fn pause(stack: &Stack) {
    signal(stack.postgres.pid(), Signal::SIGSTOP);
}

/// Lets all of Postgres go on.
pub(super) fn resume(stack: &Stack) {
    signal(stack.postgres.pid(), Signal::SIGCONT);
}

/// The server first, so that it starts no more backends. Each backend leads a group of its own.
fn signal(server: u32, signal: Signal) {
    for pid in std::iter::once(server).chain(children(server)) {
        if let Ok(pid) = i32::try_from(pid) {
            // The only failure is that it has ended.
            kill(Pid::from_raw(pid), signal).ok();
        }
    }
}

fn children(parent: u32) -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
            // The name in brackets may hold anything; state and parent follow it.
            let after = stat.rsplit_once(')')?.1;
            let found: u32 = after.split_whitespace().nth(1)?.parse().ok()?;
            (found == parent).then_some(pid)
        })
        .collect()
}
