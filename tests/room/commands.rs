//! What people are told to type. Every line that a program or a page prints is pasted into a shell,
//! in a folder whose name has a blank, a quotation mark and an umlaut; and none is made anywhere
//! but where all are.

use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::common::{
    PIN, programs, run,
    stage::{self, CUSTODIANS, Done, Ended, Setting, Stage},
};

/// Programs that people are told to type, and the first letter of what follows.
const PROGRAMS: [&str; 6] = [
    "keyferry-audit ",
    "keyferry-custodian ",
    "keyferry-hoster ",
    "keyferry-officer ",
    "keyferry-tenant ",
    "ssh-keygen ",
];

/// Programs of others: a line of one begins with its name and an option, or a word that it knows.
const TOOLS: [(&str, &[&str]); 46] = [
    ("age", &[]),
    ("age-keygen", &[]),
    ("apt", &["install", "update"]),
    ("apt-get", &["install", "update"]),
    ("aws", &["kms"]),
    ("az", &["keyvault"]),
    ("base64", &[]),
    ("certutil", &[]),
    ("chmod", &[]),
    ("chown", &[]),
    ("cp", &[]),
    ("curl", &[]),
    ("date", &[]),
    ("dd", &["if=", "of="]),
    ("diff", &[]),
    ("dpkg", &[]),
    ("gcloud", &["kms"]),
    ("gpg", &[]),
    ("iconv", &[]),
    ("ip", &["link", "route", "addr"]),
    ("jq", &[]),
    ("kill", &[]),
    ("ln", &[]),
    ("losetup", &[]),
    ("lp", &[]),
    ("ls", &[]),
    ("mkfs.ext4", &[]),
    ("mount", &["/"]),
    ("openssl", &["dgst", "pkcs", "pkey", "req", "verify", "x509"]),
    ("pkcs11-tool", &[]),
    ("rm", &[]),
    ("sed", &[]),
    ("sha256sum", &["FILE", "<"]),
    ("softhsm2-util", &[]),
    ("ssh-add", &[]),
    ("strace", &[]),
    ("sudo", &["a", "c", "m", "s", "k"]),
    ("swapoff", &["/"]),
    ("swapon", &["/"]),
    ("sync", &["/"]),
    ("sysctl", &["fs.", "kernel.", "net.", "vm."]),
    ("systemctl", &["disable", "enable", "mask", "restart", "start", "stop"]),
    ("timedatectl", &["set"]),
    ("tr", &[]),
    ("umount", &["/", "FOLDER", "MEDIUM"]),
    ("unset", &["NAME"]),
];

/// Where a line of another program than ours begins in a text, if one does.
fn of_others(text: &str) -> Option<&'static str> {
    let begins = |name: &str, words: &[&str]| {
        text.match_indices(name).any(|(at, _)| {
            let before = text[..at].chars().next_back();
            let rest = text[at + name.len()..].strip_prefix(' ').unwrap_or_default();
            let option = rest.starts_with('-') && !rest.starts_with("- ");
            before.is_none_or(|c| !c.is_alphanumeric() && !"-_/.".contains(c))
                && (option || words.iter().any(|word| rest.starts_with(word)))
        })
    };
    TOOLS.into_iter().find(|(name, words)| begins(name, words)).map(|(name, _)| name)
}

/// A text without what is written out as a command.
fn without_commands(text: &str) -> String {
    let parts = text.split('{').enumerate();
    let parts = parts.map(|(n, part)| match part.split_once('}') {
        Some((_, after)) if n > 0 => after,
        _ => part,
    });
    parts.collect::<Vec<_>>().join("|")
}

/// A word for a shell, whatever is in it.
fn word(text: impl AsRef<Path>) -> String {
    format!("'{}'", text.as_ref().display().to_string().replace('\'', r"'\''"))
}

/// Where commands of our programs begin in a line.
fn beginnings(line: &str) -> Vec<usize> {
    let command = |program: &str, at: usize| {
        let next = line[at + program.len()..].chars().next();
        let word = |next: char| next.is_ascii_lowercase() && program != "ssh-keygen ";
        next.is_some_and(|next| next == '-' || word(next))
    };
    let of = |program: &&'static str| {
        let program = *program;
        line.match_indices(program).map(|(at, _)| at).filter(move |at| command(program, *at))
    };
    PROGRAMS.iter().flat_map(of).collect()
}

/// The commands that a text tells somebody to type: a line of their own, or between backticks.
fn told(text: &str) -> Vec<String> {
    let mut told = Vec::new();
    for line in text.lines() {
        for at in beginnings(line) {
            let alone = ["", "to do:"].contains(&line[..at].trim());
            let quoted = line[..at].ends_with('`').then(|| line[at..].split('`').next().unwrap());
            let command = quoted.or(alone.then(|| line[at..].trim_end()));
            told.push(command.unwrap_or_else(|| panic!("no line of its own: {line}")).to_owned());
        }
    }
    told
}

/// A page's text, without what only a browser reads.
fn page_text(html: &str) -> String {
    let mut text = String::new();
    for part in html.split('<').skip(1) {
        text.push('\n');
        text.push_str(part.split_once('>').unwrap().1);
    }
    let entities =
        [("&#x27;", "'"), ("&#x2f;", "/"), ("&quot;", "\""), ("&lt;", "<"), ("&gt;", ">")];
    entities.iter().fold(text, |text, (entity, c)| text.replace(entity, c)).replace("&amp;", "&")
}

/// A ceremony by what its programs print.
struct Walk {
    stage: Stage,
    /// Every command that was printed, and by which program's side, where one prints its own.
    told: BTreeMap<String, String>,
    ran: Vec<String>,
}

impl Walk {
    fn path(&self, name: &str) -> PathBuf {
        self.stage.path(name)
    }

    /// A line with what stands for its placeholders.
    fn filled(&self, line: &str, values: &[(&str, String)]) -> String {
        let mut filled = String::new();
        let mut rest = line;
        while let Some(c) = rest.chars().next() {
            let inside = filled.ends_with(|c: char| c.is_alphanumeric() || c == '-');
            let is = |name: &&(&str, String)| {
                let after = rest.strip_prefix(name.0).map(|after| after.chars().next());
                let ends = |c: char| !c.is_alphanumeric() && c != '-';
                !inside && after.is_some_and(|next| next.is_none_or(ends))
            };
            match values.iter().find(is) {
                Some((name, value)) => {
                    filled.push_str(value);
                    rest = &rest[name.len()..];
                }
                None => {
                    filled.push(c);
                    rest = &rest[c.len_utf8()..];
                }
            }
        }
        filled
    }

    /// Pastes a line into a shell, and types these answers.
    fn paste(&mut self, side: &str, at: &Path, line: &str, answers: &[String]) -> Ended {
        let folder = Path::new(programs::AUDIT).parent().unwrap();
        let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(line).current_dir(at);
        self.stage.environment(&mut shell, side);
        shell.env("PATH", path).env_remove("SSH_AUTH_SOCK");
        shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = shell.spawn().unwrap();
        // What ends without reading them does not want them.
        let _ = child.stdin.take().unwrap().write_all((answers.join("\n") + "\n").as_bytes());
        let output = child.wait_with_output().unwrap();
        let ended = Ended {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        };
        assert!(![2, 126, 127].contains(&ended.code), "{line}: {ended:?}");
        self.reads(&format!("{}\n{}", ended.out, ended.err), side);
        ended
    }

    /// Keeps what a text tells somebody to type.
    fn reads(&mut self, text: &str, side: &str) {
        for command in told(text) {
            self.told.entry(command).or_insert_with(|| side.to_owned());
        }
    }

    /// What comes next on a side, by its `status`: with all options, or none but the folder.
    fn next(&mut self, side: &str, bare: bool) -> Option<String> {
        let mut command = match bare {
            false => self.stage.command(side, &["status"]),
            true => {
                let mut command = Command::new(programs::of_side(side));
                command.arg("--dir").arg(self.path(side)).arg("status");
                command
            }
        };
        let ended = crate::common::stage::ended(&mut command);
        self.reads(&format!("{}\n{}", ended.out, ended.err), side);
        assert_eq!(ended.code, 0, "{ended:?}");
        let mut lines = ended.err.lines().skip_while(|line| !line.starts_with("next: "));
        let head = lines.next().unwrap();
        let on = format!("next: on the {side}'s machine, ");
        assert!(head.starts_with(&on) || head.starts_with("next: nothing"), "{head}");
        head.starts_with(&on).then(|| lines.next().unwrap().trim().to_owned())
    }

    /// What stands for the placeholders of a side's lines.
    fn values(&self, side: &str) -> Vec<(&'static str, String)> {
        let mut values = vec![
            ("MODULE", word(self.stage.module(side))),
            ("TOKEN", side.to_owned()),
            ("TEXT", "'a test of O'\\''Neil'".to_owned()),
            ("FOLDER", word(self.path("medium"))),
            ("PLAN", word(self.path("plan/ceremony.toml"))),
            ("KEY", word(self.path("people/ada"))),
            ("IDENTITY", word(self.path("people/cyd.identity"))),
            ("CEREMONY", word(self.path(side))),
        ];
        for (name, kind) in
            ["OFFER", "PACKAGE", "RECEIPT", "REGISTRATION", "ACCEPTANCE", "CLOSING", "KEYS"]
                .map(|name| (name, name.to_lowercase()))
        {
            values.push((name, word(self.path(&format!("medium/{kind}")))));
        }
        values
    }

    /// Whether all that a line needs has come, and it was not taken yet.
    fn has_come(&self, line: &str) -> bool {
        let kinds = ["OFFER", "PACKAGE", "RECEIPT", "REGISTRATION", "ACCEPTANCE", "CLOSING"];
        let needed = kinds.into_iter().find(|kind| line.contains(&format!(" {kind}")));
        needed.is_none_or(|kind| self.path(&format!("medium/{}", kind.to_lowercase())).exists())
    }

    /// What is typed while a line runs.
    fn answers(&mut self, side: &str, line: &str) -> Vec<String> {
        let mut answers = Vec::new();
        let says = |words: &str| line.contains(words);
        if says(" init ") {
            answers.push(self.stage.plan_words());
        } else if says(" offer check ") {
            answers.push(self.stage.kek_words());
        } else if let Some((_, rest)) = line.split_once(" share confirm ") {
            let id = rest.split(' ').next().unwrap();
            let check = self.told.keys().find(|line| line.contains("share check")).unwrap();
            let file = word(self.path(&format!("tenant/outbox/shares/{id}.age")));
            let identity = word(self.path(&format!("people/{id}.identity")));
            let check = self.filled(check, &[("FILE", file), ("IDENTITY", identity)]);
            let at = self.path("medium");
            answers.push(self.paste(side, &at, &check, &[]).ok().trim().to_owned());
        }
        let in_hsm = ["kek ", "keys create", "export", "import"];
        if !says("--pin-file") && in_hsm.iter().any(|words| says(&format!(" {words}"))) {
            answers.push(PIN.to_owned());
        }
        if says(" import ") {
            for id in &CUSTODIANS[..3] {
                answers.push(format!(
                    "{}",
                    self.path("tenant/outbox/shares").join(format!("{id}.age")).display()
                ));
                answers.push(format!(
                    "{}",
                    self.path("people").join(format!("{id}.identity")).display()
                ));
            }
        }
        answers
    }

    /// Officers do as they are told: one with keyferry-officer, one without.
    fn sign(&mut self, side: &str, waiting: &str) {
        let place =
            waiting.lines().find_map(|line| line.strip_prefix("Bring the .sig files back beside "));
        let place = PathBuf::from(place.unwrap().split(", then").next().unwrap());
        let desk = self.path("officers' desk");
        let _ = fs::remove_dir_all(&desk);
        fs::create_dir(&desk).unwrap();
        let document = waiting.contains("Copy the folder ");
        let copied = if document { place.parent().unwrap() } else { &place };
        run(Command::new("cp").arg("-r").arg(copied).arg(&desk));
        let name = place.file_name().unwrap();
        let beside = match document {
            true => desk.join(copied.file_name().unwrap()),
            false => desk.clone(),
        };
        let lines = told(waiting);
        let officer = |line: &&String| line.starts_with("keyferry-officer sign FOLDER --as ");
        let first = lines.iter().find(officer).unwrap();
        let bare = lines.iter().find(|line| line.starts_with("ssh-keygen")).unwrap();
        let id = first.split(' ').nth(4).unwrap();
        let second = lines.iter().rfind(officer).unwrap().split(' ').nth(4).unwrap();
        let plan = word(self.path("plan/ceremony.toml"));
        let people = self.path("people");
        let key = |id: &str| word(people.join(id));
        let line = [("FOLDER", word(&desk)), ("KEY", key(id)), ("PLAN", plan)];
        let line = self.filled(first, &line);
        let at = self.path("people");
        self.paste(side, &at, &line, &["yes".into()]).ok();
        let line = self.filled(bare, &[("KEY", key(second)), ("YOUR-ID", second.to_owned())]);
        self.paste(side, &beside, &line, &[]).ok();
        for id in [id, second] {
            let sig = format!("{}.{id}.sig", name.display());
            fs::copy(beside.join(&sig), place.with_file_name(sig)).unwrap();
        }
    }

    /// Takes the step that a side's `status` proposes, if it can be taken yet.
    fn step(&mut self, side: &str, bare: bool) -> bool {
        let Some(line) = self.next(side, bare).filter(|line| self.has_come(line)) else {
            return false;
        };
        if let Some((_, file)) = line.split_once("evidence add FOLDER/") {
            let (node, stage) = file.split(' ').next().unwrap().split_once('-').unwrap();
            self.stage.prove_node(node, stage.trim_end_matches(".json"));
        }
        let pasted = self.filled(&line, &self.values(side));
        let answers = self.answers(side, &line);
        let at = self.path("people");
        let mut ended = self.paste(side, &at, &pasted, &answers);
        if ended.code == 6 {
            self.sign(side, &ended.err);
            ended = self.paste(side, &at, &pasted, &answers);
        }
        self.ran.push(line.clone());
        let said = ended.ok();
        if let Some(kind) = said.strip_prefix("The ").filter(|_| line.contains(" release")) {
            self.stage.carry(side, kind.split(' ').next().unwrap());
        }
        true
    }

    /// Everything else that tells people what to type, where a side stands.
    fn asks_around(&mut self, side: &str) {
        for arguments in [
            &["print", "script"][..],
            &["print", "--language", "de", "script"],
            &["print", "transcript"],
            &["print", "share", "cyd"],
            &["package", "check", "medium/package"],
            &["release"],
            &["close"],
            &["deviation"],
            &["next"],
            &["next", "--language", "de"],
            &["init", "plan/ceremony.toml", "--words", "plan"],
        ] {
            let ended = self.stage.side(side, arguments);
            self.reads(&format!("{}\n{}", ended.out, ended.err), side);
        }
        let pages = fs::read_dir(self.path(&format!("{side}/paper")));
        for page in pages.into_iter().flatten() {
            let html = fs::read_to_string(page.unwrap().path()).unwrap();
            self.reads(&page_text(&html), side);
        }
    }

    /// Where a line is pasted: beside the file that ssh-keygen is given, which is named alone.
    fn folder_for(&self, line: &str) -> PathBuf {
        let name = line.split_once(" < ").and_then(|(_, rest)| rest.split(' ').next());
        let mut folders = vec![self.path("")];
        while let Some(folder) = folders.pop() {
            if name.is_none_or(|name| folder.join(name).is_file()) {
                return folder;
            }
            let below = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
            folders.extend(below.filter(|path| path.is_dir()));
        }
        panic!("no file for {line}")
    }

    /// What the auditor's and the officers' program tell.
    fn shows(&mut self) {
        let files = ["offer/offer.json", "package/package.json", "receipt/receipt.json"];
        let files = files.map(|file| format!("medium/{file}"));
        let more = ["plan/ceremony.toml", "tenant/log.jsonl", "hoster/register/SHA256SUMS"];
        for file in files.iter().map(String::as_str).chain(more) {
            for language in ["en", "de"] {
                let ended = self.stage.auditor(&["show", file, "--language", language]);
                self.reads(&format!("{}\n{}", ended.out, ended.err), "audit");
            }
        }
        let (plan, other) = ("plan/ceremony.toml", "neu & schön.toml");
        for arguments in [
            &["plan", "check", plan][..],
            &["plan", "new", other],
            &["plan", "check", other],
            &["plan", "new", "renewed.toml", "--from", plan],
            &["plan", "rehearse", plan, "again.toml", "--people", "people"],
            &["verify", "medium"],
            &["show", "plan"],
        ] {
            let ended = self.stage.auditor(arguments);
            self.reads(&format!("{}\n{}", ended.out, ended.err), "audit");
        }
    }
}

#[test]
fn a_ceremony_goes_to_its_end_by_the_lines_that_are_printed() {
    let stage = Stage::of(Setting::composite(), Done::Plan).copy_into("O'Neil Müller ");
    let mut walk = Walk { stage, told: BTreeMap::new(), ran: Vec::new() };
    for side in ["tenant", "hoster"] {
        let words = walk.stage.words("plan", &walk.stage.plan_words());
        walk.stage.side(side, &["init", "plan/ceremony.toml", "--words", &words]).ok();
    }
    // The tenant's status is told all options, the hoster's nothing but the folder.
    loop {
        let mut steps = 0;
        for (side, bare) in [("hoster", true), ("tenant", false)] {
            while walk.step(side, bare) {
                steps += 1;
                if steps % 5 == 1 {
                    walk.asks_around(side);
                }
            }
        }
        if steps == 0 {
            break;
        }
    }
    assert!(walk.ran.len() > 25, "{:#?}", walk.ran);
    walk.shows();
    for side in ["tenant", "hoster"] {
        walk.asks_around(side);
        let phase = walk.stage.side(side, &["status"]).ok();
        assert!(phase.contains("closed"), "{side}: {phase}");
    }
    let told = walk.told.clone();
    assert!(told.len() > 40, "{told:#?}");
    for (line, side) in told {
        is_whole(&walk, &line, &side);
        let of = if line.starts_with("keyferry-hoster") { "hoster" } else { "tenant" };
        let mut values = walk.values(of);
        if line.contains(" verify ") {
            let folders = ["FOLDER", "ORDNER", "ARCHIVE", "ARCHIV"];
            let folders = folders.map(|name| (name, word(walk.path("tenant/archive"))));
            values.splice(0..0, folders);
        }
        let other = word(walk.path("medium/offer/offer.json"));
        for (name, value) in [
            ("FILE", other.as_str()),
            ("DATEI", &other),
            ("NAME", "node1"),
            ("YOUR-ID", "ada"),
            ("ID", "ada"),
            ("CUSTODIAN", "cyd"),
            ("NODE", "node1"),
            ("MIRROR", &word(walk.path("mirror"))),
            ("REGISTRY", &word(walk.path("hoster/registry.json"))),
            ("HASH", &"00".repeat(32)),
            ("REPORT", &other),
        ] {
            values.push((name, value.to_owned()));
        }
        let pasted = walk.filled(&line, &values);
        let at = walk.folder_for(&line);
        walk.paste(of, &at, &pasted, &[]);
    }
}

/// A line of the program that runs has every option that it was given; another side's has a
/// placeholder for its folder.
fn is_whole(walk: &Walk, line: &str, side: &str) {
    let own = line.strip_prefix(&format!("keyferry-{side} "));
    let own = own.filter(|own| side != "audit" && !own.starts_with("node prove "));
    let Some(own) = own else {
        let other = ["keyferry-tenant ", "keyferry-hoster "].iter();
        let elsewhere = other.clone().any(|program| line.starts_with(program));
        let whole =
            other.clone().any(|program| line.starts_with(&format!("{program}--dir CEREMONY ")));
        assert!(whole || !elsewhere || line.contains("node prove"), "{line}");
        return;
    };
    let dir = format!("--dir {}", word(walk.path(side)));
    let rest = own
        .strip_prefix(&dir)
        .or(own.strip_prefix("--dir CEREMONY"))
        .unwrap_or_else(|| panic!("{line}"));
    let pin = word(walk.path("pin"));
    let module = walk.stage.module(side).display().to_string();
    let options = format!(" --module {module} --token {side} --pin-file {pin} ");
    // A status that was told the folder only names what is lacking.
    let bare = rest.ends_with(" --module MODULE --token TOKEN") || !rest.contains("--");
    assert!(rest.starts_with(&options) || bare || side == "hoster", "{line}");
}

#[test]
fn lines_of_other_programs_are_seen() {
    for text in ["openssl x509 -in FILE", "then `sudo mount`", "sysctl kernel.x=1", "a: ip link up"]
    {
        assert!(of_others(text).is_some(), "{text}");
        assert_eq!(of_others(&without_commands(&format!("x {{{text}}} y"))), None, "{text}");
    }
    for text in ["as OpenSSL writes it", "a mount with nosuid", "strip - it", "the date - or none"]
    {
        assert_eq!(of_others(text), None, "{text}");
    }
}

/// Programs are called by name in one place, and nowhere else a line can be made of it.
#[test]
fn no_line_is_made_elsewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut scanned = 0;
    let mut folders = vec![root.join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                folders.push(path);
            } else if name.ends_with(".rs")
                && name != "tests.rs"
                && !path.ends_with("record/command.rs")
            {
                scanned += 1;
                for (before, literal) in literals(&fs::read_to_string(&path).unwrap()) {
                    let at = format!("{}: {literal}", path.display());
                    let made = before.ends_with("tool(") || before.ends_with("line(");
                    let other = of_others(&without_commands(&literal));
                    assert!(made || other.is_none(), "{at}: {other:?} is no command line");
                    let out = literal.contains("{ssh-keygen -");
                    assert!(beginnings(&literal).is_empty() || out, "{at}");
                    // What is put together here could become one.
                    let mut open = literal.match_indices("keyferry-").filter(|(n, _)| {
                        let program = |name: &&&str| literal[*n..].starts_with(name.trim_end());
                        let length = PROGRAMS.iter().find(program).map(|name| name.len() - 1);
                        let after = length.map(|length| &literal[n + length..]);
                        let open = |text: &str| text.trim_start_matches(['`', ' ']).is_empty();
                        let open = |text: &str| open(text.split('{').next().unwrap_or(text));
                        after.is_some_and(open) || literal[*n..].starts_with("keyferry-{")
                    });
                    assert_eq!(open.next(), None, "{at}");
                }
            }
        }
    }
    assert!(scanned > 150, "{scanned}");
    for name in ["en.toml", "de.toml", "first.toml", "show.en.toml", "show.de.toml", "untold.toml"]
    {
        let text = fs::read_to_string(root.join("templates/text").join(name)).unwrap();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            assert!(
                beginnings(line).is_empty() || line.contains("{ssh-keygen -"),
                "{name}: {line}"
            );
            assert_eq!(of_others(&without_commands(line)), None, "{name}: {line}");
        }
    }
    for entry in fs::read_dir(root.join("templates/paper")).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        assert!(beginnings(&text).is_empty() && of_others(&text).is_none());
    }
}

/// The string literals of a source, each with what stands before it, without those of attributes,
/// and up to its tests.
fn literals(source: &str) -> Vec<(String, String)> {
    let code = source.split("#[cfg(test)]").next().unwrap();
    let code: String = code
        .lines()
        .filter(|line| !line.trim_start().starts_with("//") && !line.trim_start().starts_with("#["))
        .map(|line| format!("{line}\n"))
        .collect();
    let mut literals = Vec::new();
    let mut rest = code.as_str();
    while let Some((before, after)) = rest.split_once('"') {
        let mut escaped = false;
        let end = after.find(|c| match c {
            _ if escaped => {
                escaped = false;
                false
            }
            '\\' => {
                escaped = true;
                false
            }
            c => c == '"',
        });
        let end = end.unwrap_or(after.len());
        literals.push((before.trim_end().to_owned(), after[..end].to_owned()));
        rest = after.get(end + 1..).unwrap_or("");
    }
    literals
}

/// Whoever types nothing, another program's command, or stands in the other side's folder, is told
/// where to go.
#[test]
fn what_is_typed_at_the_wrong_program_is_answered_by_the_right_one() {
    let stage = Stage::at(Done::Init);
    for program in [programs::TENANT, programs::HOSTER] {
        let said = stage::ended(Command::new(program).env("KEYFERRY_MODULE", "module.so"));
        assert!(
            said.code == 2 && said.err.contains("A ceremony's steps, in their order:"),
            "{said:?}"
        );
        assert!(said.err.contains("When something is not as it should be:"), "{said:?}");
    }
    for (program, word, other) in [
        (programs::TENANT, "import", "keyferry-hoster"),
        (programs::HOSTER, "accept", "keyferry-tenant"),
        (programs::TENANT, "verify", "keyferry-audit"),
        (programs::CUSTODIAN, "sign", "keyferry-officer"),
    ] {
        let said = stage::ended(Command::new(program).arg(word));
        let hint = format!("'{word}' is a command of {other}");
        assert!(said.code == 2 && said.err.contains(&hint), "{said:?}");
    }
    for (program, other) in [(programs::TENANT, "hoster"), (programs::HOSTER, "tenant")] {
        let mut command = Command::new(program);
        let said = stage::ended(command.arg("--dir").arg(stage.path(other)).arg("status"));
        let said = said.refused("LOG-EVENT");
        assert!(said.contains(&format!("this is the {other}'s folder")), "{said}");
        assert!(said.contains(&format!("keyferry-{other}")), "{said}");
    }
}
