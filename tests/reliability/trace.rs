//! What a command does to the disk, as strace sees it.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::common::kill::through;

/// Every system call that changes a disk, or waits for one.
pub const CALLS: &str = "openat,open,creat,write,pwrite64,writev,fsync,fdatasync,rename,renameat,renameat2,unlink,unlinkat,rmdir,\
mkdir,mkdirat,ftruncate,truncate,fallocate,link,linkat,symlink,symlinkat,copy_file_range,sendfile";

/// One change, of a path below the stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    Create(PathBuf),
    /// At the file's end, as logs and new files are written.
    Append(PathBuf, Vec<u8>),
    Truncate(PathBuf, usize),
    Sync(PathBuf),
    Rename(PathBuf, PathBuf),
    Unlink(PathBuf),
    Rmdir(PathBuf),
    Mkdir(PathBuf),
    /// The HSM took a state that the shim kept a copy of, by this number.
    Device(usize),
}

/// An operation, and the system call that it was: its name, and which of that name in its thread,
/// counted from 1. The thread is the program's first where `main`.
pub struct Traced {
    pub op: Op,
    pub call: String,
    pub nth: usize,
    pub main: bool,
}

/// The command under strace, which traces these calls, with what it is told besides.
pub fn traced(command: &Command, file: &Path, calls: &str, inject: Option<&str>) -> Command {
    let trace = format!("trace={calls}");
    let inject = inject.map(|inject| format!("inject={inject}"));
    let mut arguments = vec!["-f", "-qq", "-x", "-y", "-s", "16777216", "-e", &trace];
    if let Some(inject) = &inject {
        arguments.extend(["-e", inject]);
    }
    let file = file.to_string_lossy();
    arguments.extend(["-o", &file]);
    through("strace", &arguments, command)
}

/// The changes below `root` that a trace tells of, in their order.
pub fn read(file: &Path, root: &Path) -> Vec<Traced> {
    let text = fs::read(file).unwrap();
    let text = String::from_utf8_lossy(&text);
    let (mut begun, mut counts) = (HashMap::new(), HashMap::new());
    let mut ops = Vec::new();
    let mut first = None;
    for line in text.lines() {
        let (thread, rest) = line.split_once(' ').unwrap();
        let rest = rest.trim_start();
        first.get_or_insert_with(|| thread.to_owned());
        if let Some(head) = rest.strip_suffix(" <unfinished ...>") {
            begun.insert(thread.to_owned(), head.to_owned());
            continue;
        }
        let whole = match rest.strip_prefix("<... ").and_then(|rest| rest.split_once(" resumed>")) {
            Some((_, tail)) => begun.remove(thread).unwrap() + tail,
            None => rest.to_owned(),
        };
        let Some((name, arguments)) = whole.split_once('(') else {
            continue;
        };
        let nth: &mut usize = counts.entry((thread.to_owned(), name.to_owned())).or_default();
        *nth += 1;
        if let Some(op) = op(name, arguments, root) {
            let main = first.as_deref() == Some(thread);
            ops.push(Traced { op, call: name.to_owned(), nth: *nth, main });
        }
    }
    ops
}

fn op(name: &str, text: &str, root: &Path) -> Option<Op> {
    let (arguments, result) = text.rsplit_once(" = ")?;
    if result.trim().starts_with('-') || result.trim().starts_with('?') {
        return None;
    }
    let strings = strings(arguments);
    let below = |path: &[u8]| {
        let path = PathBuf::from(String::from_utf8(path.to_vec()).unwrap());
        let whole = if path.is_absolute() { path } else { root.join(path) };
        Some(whole.strip_prefix(root).ok()?.to_owned())
    };
    // The path of the file descriptor that the call is about.
    let of_descriptor = || {
        let (_, rest) = arguments.split_once('<')?;
        below(rest.split_once('>')?.0.as_bytes())
    };
    let first = || below(strings.first()?);
    match name {
        "openat" | "open" if arguments.contains("O_CREAT") || arguments.contains("O_TRUNC") => {
            // One that was there before would be cut, or opened for other writes than at its end.
            let path = first()?;
            assert!(
                is_device(&path) || arguments.contains("O_EXCL") || arguments.contains("O_APPEND"),
                "{text}"
            );
            Some(Op::Create(path))
        }
        "openat" | "open" => None,
        "write" => {
            let (path, bytes) = (of_descriptor()?, strings.first()?.clone());
            if path == Path::new("calls") {
                let text = String::from_utf8(bytes).unwrap();
                return text
                    .strip_prefix("snapshot ")
                    .map(|n| Op::Device(n.trim().parse().unwrap()));
            }
            Some(Op::Append(path, bytes))
        }
        "fsync" | "fdatasync" => Some(Op::Sync(of_descriptor()?)),
        "rename" | "renameat" | "renameat2" => {
            Some(Op::Rename(below(strings.first()?)?, below(strings.get(1)?)?))
        }
        "unlinkat" => {
            // Relative to a folder's descriptor, where it is not to the working folder.
            let folder = of_descriptor()?;
            let path = folder.join(first()?);
            Some(if arguments.contains("AT_REMOVEDIR") {
                Op::Rmdir(path)
            } else {
                Op::Unlink(path)
            })
        }
        "unlink" => Some(Op::Unlink(first()?)),
        "rmdir" => Some(Op::Rmdir(first()?)),
        "mkdir" | "mkdirat" => Some(Op::Mkdir(first()?)),
        "ftruncate" => {
            let length = arguments.rsplit_once(", ")?.1.trim_end_matches(')').parse().unwrap();
            Some(Op::Truncate(of_descriptor()?, length))
        }
        _ => {
            let path = first().or_else(of_descriptor)?;
            assert!(is_device(&path), "a change that the model does not know: {name}({text}");
            None
        }
    }
    .filter(|op| !matches!(op.path(), Some(path) if is_device(path)))
}

/// The tokens and what belongs to the shim: an HSM's own business.
fn is_device(path: &Path) -> bool {
    let first = path.iter().next().unwrap_or_default().to_string_lossy().into_owned();
    ["tokens", "snapshots", "calls", "trial.out", "trial.err"].contains(&first.as_str())
        || first.starts_with("shim-")
}

impl Op {
    fn path(&self) -> Option<&Path> {
        match self {
            Op::Create(path) | Op::Append(path, _) | Op::Truncate(path, _) | Op::Sync(path) => {
                Some(path)
            }
            Op::Rename(path, _) | Op::Unlink(path) | Op::Rmdir(path) | Op::Mkdir(path) => {
                Some(path)
            }
            Op::Device(_) => None,
        }
    }
}

/// The quoted strings of a call's arguments.
pub fn strings(arguments: &str) -> Vec<Vec<u8>> {
    let mut strings = Vec::new();
    let mut bytes = arguments.bytes();
    while bytes.by_ref().any(|byte| byte == b'"') {
        let mut string = Vec::new();
        while let Some(byte) = bytes.next().filter(|byte| *byte != b'"') {
            string.push(if byte == b'\\' { escaped(&mut bytes) } else { byte });
        }
        strings.push(string);
    }
    strings
}

fn escaped(bytes: &mut std::str::Bytes) -> u8 {
    match bytes.next().unwrap() {
        b'n' => b'\n',
        b't' => b'\t',
        b'r' => b'\r',
        b'v' => 0x0b,
        b'f' => 0x0c,
        b'x' => {
            let digits = [bytes.next().unwrap(), bytes.next().unwrap()];
            u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
        }
        digit @ b'0'..=b'7' => {
            // Octal of one to three digits.
            let mut value = u32::from(digit - b'0');
            let mut ahead = bytes.clone();
            for _ in 0..2 {
                match ahead.next() {
                    Some(digit @ b'0'..=b'7') => {
                        value = value * 8 + u32::from(digit - b'0');
                        bytes.next();
                    }
                    _ => break,
                }
            }
            value as u8
        }
        other => other,
    }
}
