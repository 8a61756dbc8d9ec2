//! An API that closes before a file has been sent.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    thread,
};

use crate::world::{Done, folder, program, run};

const PROBLEM: &str = r#"{"type":"urn:ringfence:problem:invalid","status":422,"code":"invalid","title":"The request is not valid","detail":"external_id is missing","faults":[{"field":"external_id","reason":"the column is missing; say which it is: columns=NAME:external_id"}]}"#;

/// Reads the head and a little of the body, answers, and closes with most of the body unread: the
/// kernel then sends a reset.
fn serve(mut connection: TcpStream, answer: &str) {
    let mut seen = Vec::new();
    let mut part = [0; 4096];
    while !seen.windows(4).any(|four| four == b"\r\n\r\n") {
        let count = connection.read(&mut part).unwrap();
        seen.extend_from_slice(&part[..count]);
    }
    connection.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").unwrap();
    connection.read_exact(&mut part).unwrap();
    connection.write_all(answer.as_bytes()).unwrap();
}

/// Imports a file that is far larger than every buffer on the way.
fn import_answered_with(answer: String, json: bool) -> Done {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let place = format!("http://{}", listener.local_addr().unwrap());
    let server = thread::spawn(move || serve(listener.accept().unwrap().0, &answer));
    let folder = folder();
    fs::write(folder.join("big.csv"), "phone_1\n+13055550101\n".repeat(2_000_000)).unwrap();
    let mut command = program(&folder);
    command.env("RINGFENCE_API", place).env("RINGFENCE_KEY", "rfk_x");
    command.args(["list", "import", "big.csv", "--campaign", "01ARZ3NDEKTSV4RRFFQ69G5FAV"]);
    let done = run(if json { command.arg("--json") } else { &mut command });
    server.join().unwrap();
    fs::remove_dir_all(folder).ok();
    done
}

#[test]
fn an_answer_that_comes_before_the_file_is_sent_is_read() {
    let length = PROBLEM.len();
    let head = "HTTP/1.1 422 Unprocessable Entity\r\ncontent-type: application/problem+json";
    let answer =
        format!("{head}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{PROBLEM}");
    let done = import_answered_with(answer, false);
    assert_eq!(done.code, 1, "{done:?}");
    for text in ["The request is not valid", "--column 'NAME=external_id'", "--identify-by-number"]
    {
        assert!(done.err.contains(text), "{text} in {done:?}");
    }
}

#[test]
fn a_connection_that_breaks_without_an_answer_says_so_and_what_to_do() {
    let done = import_answered_with(String::new(), false);
    assert_eq!(done.code, 3, "{done:?}");
    assert!(done.err.contains("stopped reading before the end of the file"), "{done:?}");
    assert!(done.err.contains("run the command again"), "{done:?}");
    let done = import_answered_with(String::new(), true);
    let problem: serde_json::Value = serde_json::from_str(&done.err).unwrap();
    assert_eq!((done.code, &problem["code"]), (3, &"unreachable".into()), "{done:?}");
}
