//! What the program itself opens, and two officers at one folder.

use std::{collections::HashMap, fs, os::unix::fs::PermissionsExt};

use super::*;
use crate::common::kill::through;
use record::signature::Namespace;

/// The calls that open, make, name or remove a file.
const CALLS: &str = "trace=openat,openat2,open,creat,rename,renameat,renameat2,unlink,unlinkat,link,linkat,symlink,symlinkat,mkdir,mkdirat,truncate,chmod,fchmodat";

#[test]
fn nothing_but_the_signature_is_written_and_each_file_is_opened_once() {
    let (stage, _) = asked();
    let trace = stage.path("trace");
    // The whole folder, with plan and log: the plan is trusted for its words, and is to be signed
    // too.
    let desk = on_desk(&stage, "hoster");
    let sign = sign_with(&stage, &desk, "hedy", &[]);
    let to = trace.to_string_lossy();
    // -y: a folder that is held open has its path.
    let options = ["-qq", "-y", "-e", CALLS, "-o", &to];
    let mut screen = Screen::new(through("strace", &options, &sign));
    screen.answer("Word 1 of 16:", &stage.plan_words());
    for answer in ["yes", "no", "no"] {
        screen.answer("Type yes", answer);
    }
    screen.ends_with(4);
    let text = fs::read_to_string(&trace).unwrap();
    let (mut opened, mut written) = (HashMap::new(), Vec::new());
    for line in text.lines().filter(|line| !line.contains("ENOENT")) {
        let mut parts = line.split('"');
        let (call, name) = (parts.next().unwrap(), parts.next().unwrap_or(""));
        let within = call.split_once('<').map_or("", |(_, rest)| rest.split('>').next().unwrap());
        let path = Path::new(within).join(name);
        let path = path.strip_prefix(stage.dir.path()).unwrap_or(&path).display().to_string();
        let path = path.as_str();
        match line {
            _ if line.starts_with("---") || line.starts_with("+++") => {}
            _ if !line.starts_with("open") => panic!("{line}"),
            _ if ["O_WRONLY", "O_RDWR", "O_CREAT"].iter().any(|flag| line.contains(flag)) => {
                written.push(path.to_owned());
            }
            _ if stage.path(path).is_file() && stage.path(path).starts_with(stage.dir.path()) => {
                *opened.entry(path.to_owned()).or_insert(0) += 1;
            }
            _ => {}
        }
    }
    written.retain(|path| !["/dev/tty", "/dev/null"].contains(&path.as_str()));
    assert_eq!(written.len(), 1, "{written:?}");
    assert!(written[0].ends_with(".hedy.sig") && written[0].starts_with("desk/"), "{written:?}");
    for name in ["ceremony.toml", "log.jsonl", "offer.json", "01-import.json"] {
        assert!(opened.keys().any(|path| path.ends_with(name)), "{name}: {opened:?}");
    }
    assert!(opened.values().all(|times| *times == 1), "{opened:?}");
    let mode = fs::metadata(stage.path(&written[0])).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn two_officers_sign_in_one_folder_at_once() {
    let stage = offered();
    let desk = on_desk(&stage, "hoster/outbox/offer");
    for _ in 0..5 {
        let all = ["hana", "hugo", "hedy", "hana"].map(|id| {
            let mut command = sign_with(&stage, &desk, id, &UNASKED);
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        });
        for one in all {
            let output = one.wait_with_output().unwrap();
            let text = String::from_utf8_lossy(&output.stderr);
            // The same person twice: one of them finds the name taken, or all done.
            assert!(output.status.success() || text.contains("FILE-EXISTS"), "{text}");
        }
        let main = format!("{desk}/offer.json");
        assert_eq!(signers(&stage, &main, Namespace::Document), ["hana", "hedy", "hugo"]);
        for id in ["hana", "hedy", "hugo"] {
            fs::remove_file(stage.path(&format!("{main}.{id}.sig"))).unwrap();
        }
    }
}
