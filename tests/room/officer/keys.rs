//! Keys in files, agents and FIDO2 tokens; a `ssh-keygen` that fails.

use std::{
    fs,
    io::{Read, Write},
    os::unix::{
        fs::PermissionsExt,
        net::{UnixListener, UnixStream},
    },
    thread,
};

use super::*;
use crate::{
    common::{kill::through, production::production},
    verify_script::fido,
};
use record::signature::Namespace;

/// The plan alone, which anybody of it can sign; its folder below the stage.
fn plan_alone(stage: &Stage) -> &'static str {
    fs::create_dir(stage.path("alone")).unwrap();
    fs::copy(stage.path("plan/ceremony.toml"), stage.path("alone/ceremony.toml")).unwrap();
    "alone"
}

#[test]
fn a_signature_that_is_not_the_persons_is_not_kept() {
    let stage = Stage::at(Done::Plan);
    let alone = plan_alone(&stage);
    let before = files(&stage, alone);
    let wrong = ["sign", alone, "--as", "ada", "--key", "people/ben", "--yes"];
    ended(&mut officer(&stage, &wrong)).refused("SIGNATURE-PERSON");
    let wrong = ["sign", alone, "--as", "ada", "--key", "people/mallory", "--yes"];
    ended(&mut officer(&stage, &wrong)).refused("SIGNATURE-KEY");
    let wrong = ["sign", alone, "--as", "ada", "--key", "people/gone", "--yes"];
    let said = ended(&mut officer(&stage, &wrong)).ended_with(2);
    assert!(said.contains("people/gone is no key file"), "{said}");
    for file in ["cyd.identity", "cyd.recipient"] {
        let key = format!("people/{file}");
        let wrong = ["sign", alone, "--as", "ada", "--key", &key, "--yes"];
        let said = ended(&mut officer(&stage, &wrong)).ended_with(2);
        assert!(said.contains("an age identity or recipient"), "{said}");
    }
    assert_eq!(files(&stage, alone), before);
    // Another's signature in this person's place, or one over something else, is named and goes
    // after a yes.
    let place = stage.path("alone/ceremony.toml.ada.sig");
    stage.sign_as(&stage.path("alone/ceremony.toml"), "keyferry-plan", "ben", "ada");
    let others = fs::read(&place).unwrap();
    let mut screen = Screen::new(sign_with(&stage, alone, "ada", &[]));
    screen.sees("ceremony.toml.ada.sig IS NO SIGNATURE OF YOURS");
    screen.sees("SIGNATURE-PERSON");
    screen.answer("Type yes", "no");
    screen.ends_with(4);
    assert_eq!(fs::read(&place).unwrap(), others);
    let mut screen = Screen::new(sign_with(&stage, alone, "ada", &[]));
    screen.answer("Type yes", "yes");
    screen.ends_with(0);
    assert_eq!(signers(&stage, "alone/ceremony.toml", Namespace::Plan), ["ada"]);
}

#[test]
fn of_production_nothing_is_signed_unasked_nor_by_an_answer_from_elsewhere() {
    let stage = Stage::at(Done::Plan);
    fs::create_dir(stage.path("alone")).unwrap();
    let plan = fs::read_to_string(stage.path("plan/ceremony.toml")).unwrap();
    let hsm = "{ manufacturer = \"M\", model = \"M\", serials = [\"1\"] }";
    fs::write(stage.path("alone/ceremony.toml"), production(plan, [hsm, hsm], &[])).unwrap();
    let said = ended(&mut sign_with(&stage, "alone", "ada", &["--yes"])).ended_with(2);
    assert!(said.contains("--yes serves rehearsals only"), "{said}");
    fs::write(stage.path("typed"), "yes\n").unwrap();
    let mut command = through("setsid", &["--wait"], &sign_with(&stage, "alone", "ada", &[]));
    command.stdin(fs::File::open(stage.path("typed")).unwrap());
    let said = ended(&mut command).ended_with(1);
    assert!(said.contains("there is no terminal to ask on"), "{said}");
    assert!(!stage.path("alone/ceremony.toml.ada.sig").exists());
    let mut screen = Screen::new(sign_with(&stage, "alone", "ada", &[]));
    screen.sees("production, SHA-256");
    screen.answer("Type yes", "yes");
    screen.ends_with(0);
}

/// A `ssh-keygen` that does this instead; the path by which it is found first.
fn instead(stage: &Stage, script: &str) -> String {
    let folder = stage.path("instead");
    fs::create_dir_all(&folder).unwrap();
    let program = folder.join("ssh-keygen");
    fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    format!("{}:{}", folder.display(), std::env::var("PATH").unwrap())
}

#[test]
fn a_keygen_that_fails_or_hangs_leaves_nothing() {
    let stage = Stage::at(Done::Plan);
    let alone = plan_alone(&stage);
    let before = files(&stage, alone);
    for (script, code) in [
        ("echo no such device >&2; exit 255", 1),
        ("exit 0", 3),
        ("cat", 3),
        ("yes", 1),
        ("kill -9 $$", 1),
    ] {
        let mut command = sign_with(&stage, alone, "ada", &["--yes"]);
        let said = ended(command.env("PATH", instead(&stage, script)));
        assert_eq!(said.code, code, "{script}: {said:?}");
        assert_eq!(files(&stage, alone), before, "{script}");
    }
    let mut command = sign_with(&stage, alone, "ada", &["--yes"]);
    let said = ended(command.env("PATH", "/nowhere")).ended_with(1);
    assert!(said.contains("ssh-keygen could not be run"), "{said}");
    // It waits for a touch that does not come.
    let mut command = sign_with(&stage, alone, "ada", &["--yes"]);
    command.env("PATH", instead(&stage, "echo touch it >&2; sleep 600"));
    let mut screen = Screen::new(command);
    screen.sees("wait until you touch the FIDO2 key");
    screen.sees("Ctrl-C stops it, and then nothing is signed");
    screen.sees("touch it");
    screen.interrupt();
    screen.ends_with(130);
    assert_eq!(files(&stage, alone), before);
    // Ctrl-C at the question.
    let mut screen = Screen::new(sign_with(&stage, alone, "ada", &[]));
    screen.sees("Type yes");
    screen.interrupt();
    screen.ends_with(4);
    assert_eq!(files(&stage, alone), before);
}

#[test]
fn a_passphrase_is_asked_for_and_words_read_aloud_are_an_answer() {
    let stage = Stage::at(Done::Plan);
    let alone = plan_alone(&stage);
    run(Command::new("ssh-keygen")
        .args(["-q", "-p", "-P", "", "-N", "correct horse", "-f"])
        .arg(stage.path("people/ada")));
    let words = words_of(&stage.path("alone/ceremony.toml"));
    let mut swapped: Vec<&str> = words.split(' ').collect();
    swapped.swap(1, 3);
    let mut screen = Screen::new(sign_with(&stage, alone, "ada", &[]));
    screen.answer("Type yes", &swapped.join(" "));
    screen.sees("WORDS-MISMATCH");
    screen.ends_with(3);
    let mut screen = Screen::new(sign_with(&stage, alone, "ada", &[]));
    screen.answer("Type yes", &words.to_uppercase());
    screen.answer("Enter passphrase", "correct horse");
    screen.ends_with(0);
    assert_eq!(signers(&stage, "alone/ceremony.toml", Namespace::Plan), ["ada"]);
}

#[test]
fn a_key_in_an_agent_signs() {
    let stage = Stage::at(Done::Plan);
    let alone = plan_alone(&stage);
    let socket = stage.path("agent");
    let mut agent = Command::new("ssh-agent");
    agent.arg("-D").arg("-a").arg(&socket).stdout(Stdio::null());
    let mut agent = agent.spawn().unwrap();
    while !socket.exists() {
        thread::sleep(std::time::Duration::from_millis(10));
    }
    run(Command::new("ssh-add")
        .arg("-q")
        .arg(stage.path("people/ada"))
        .env("SSH_AUTH_SOCK", &socket));
    fs::remove_file(stage.path("people/ada")).unwrap();
    let with = ["sign", alone, "--as", "ada", "--key", "people/ada.pub", "--yes"];
    let said = ended(officer(&stage, &with).env("SSH_AUTH_SOCK", &socket));
    agent.kill().unwrap();
    agent.wait().unwrap();
    said.ok();
    assert_eq!(signers(&stage, "alone/ceremony.toml", Namespace::Plan), ["ada"]);
}

/// An agent with the FIDO2 key of the tests, whose holder touches it or does not.
fn fido_agent(listener: UnixListener, flags: u8) {
    for stream in listener.incoming() {
        let mut stream = stream.unwrap();
        while let Some(asked) = message(&mut stream) {
            let key = fido::string(&fido::wire());
            let reply = match asked[0] {
                11 => [&[12, 0, 0, 0, 1][..], &key, &fido::string(b"a token")].concat(),
                13 => {
                    let data = &asked[1 + key.len()..];
                    let length = u32::from_be_bytes(data[..4].try_into().unwrap()) as usize;
                    let answer = fido::answer(&data[4..4 + length], flags);
                    [&[14][..], &fido::string(&answer)].concat()
                }
                _ => vec![5],
            };
            stream.write_all(&fido::string(&reply)).unwrap();
        }
    }
}

fn message(stream: &mut UnixStream) -> Option<Vec<u8>> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).ok()?;
    let mut message = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut message).ok()?;
    Some(message)
}

#[test]
fn a_fido2_key_signs_once_it_was_touched() {
    let stage = Stage::at(Done::Plan);
    let plan = fs::read_to_string(stage.path("plan/ceremony.toml")).unwrap();
    let plan = plan.replace(&stage.public_key("hana"), &fido::public());
    fs::create_dir(stage.path("alone")).unwrap();
    fs::write(stage.path("alone/ceremony.toml"), &plan).unwrap();
    fs::write(stage.path("token.pub"), format!("{} a token\n", fido::public())).unwrap();
    let with = ["sign", "alone", "--as", "hana", "--key", "token.pub", "--yes"];
    let signed = |flags: u8| {
        let socket = stage.path(&format!("agent-{flags}"));
        let listener = UnixListener::bind(&socket).unwrap();
        thread::spawn(move || fido_agent(listener, flags));
        ended(officer(&stage, &with).env("SSH_AUTH_SOCK", &socket))
    };
    signed(fido::UNTOUCHED).refused("SIGNATURE-PRESENCE");
    assert!(!stage.path("alone/ceremony.toml.hana.sig").exists());
    signed(fido::TOUCHED).ok();
    let plan = Plan::parse(plan.into()).unwrap();
    let files = signature::beside(&stage.path("alone/ceremony.toml")).unwrap();
    let signed = signature::verify_any(&plan, Namespace::Plan, plan.bytes(), &files).unwrap();
    assert_eq!(signed[0].id.as_str(), "hana");
}
