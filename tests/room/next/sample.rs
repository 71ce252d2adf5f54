//! docs/sample: the rehearsal by hand as people see it, held against this one. What is another each
//! time (keys, times, codes) is taken out of both first, as in the golden files.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::common::{programs, run};
use record::encoding::Hash;

/// Whose folder it is in the sample: as long as that of the test, so that lines break alike.
const FOLDER: &str = "/srv/ceremonies/rehearsal";

fn root() -> PathBuf {
    env!("CARGO_MANIFEST_DIR").into()
}

/// A folder in which the rehearsal lies as `work`, that name as long as `FOLDER`.
pub fn folder() -> tempfile::TempDir {
    let length = FOLDER.len() - "/tmp/ceremony-".len() - "/work".len();
    tempfile::Builder::new().prefix("ceremony-").rand_bytes(length).tempdir_in("/tmp").unwrap()
}

/// A page for paper, when people would print it.
pub fn printed(work: &Path, side: &str, page: &[&str]) {
    let mut print = Command::new(programs::of_side(side));
    run(print.arg("--dir").arg(work.join(side)).arg("print").args(page));
}

/// The sheet of an identity as a custodian makes it at home, with a passphrase, which the
/// rehearsal's identities do not have.
pub fn identity_sheet(work: &Path) {
    let paper = work.join("custodian/paper");
    fs::create_dir_all(&paper).unwrap();
    let identity = work.join("custodian/dan.identity");
    let mut new = Command::new(programs::CUSTODIAN);
    new.args(["identity", "new"]).arg(&identity).stdin(Stdio::piped());
    new.stdout(Stdio::piped()).stderr(Stdio::null());
    let mut new = new.spawn().unwrap();
    let passphrase = "a passphrase of five words\n".repeat(2);
    new.stdin.take().unwrap().write_all(passphrase.as_bytes()).unwrap();
    let recipient = new.wait_with_output().unwrap();
    assert!(recipient.status.success());
    let recipient = String::from_utf8(recipient.stdout).unwrap();
    let mut sheet = Command::new(programs::CUSTODIAN);
    sheet.args(["identity", "sheet", "--rehearsal", "--name", "Dan"]);
    sheet.args(["--ceremony", "a rehearsal", "--recipient"]);
    run(sheet.arg(recipient.trim()).arg(&identity).arg(paper.join("identity.html")));
}

/// What is in the sample now: file names with their text.
fn made(session: &str, work: &Path) -> BTreeMap<String, String> {
    let verdict = run(Command::new(programs::AUDIT)
        .arg("verify")
        .args(["tenant", "hoster"])
        .current_dir(work));
    let (session, _) = session.split_once("\r\n\r\nthe desk ended").unwrap();
    let mut files = BTreeMap::from([
        (
            "ceremony.toml".to_owned(),
            fs::read_to_string(work.join("tenant/ceremony.toml")).unwrap(),
        ),
        ("session.txt".to_owned(), session.replace('\r', "")),
        ("verdict.txt".to_owned(), String::from_utf8(verdict).unwrap()),
    ]);
    for side in ["tenant", "hoster", "custodian"] {
        for page in fs::read_dir(work.join(side).join("paper")).unwrap() {
            let page = page.unwrap().path();
            let name = page.file_name().unwrap().to_str().unwrap().replace("-1.html", ".html");
            files.insert(format!("{side}-{name}"), fs::read_to_string(&page).unwrap());
        }
    }
    let path = work.to_str().unwrap();
    // In a page, as its template writes it.
    let escaped = |path: &str| path.replace('/', "&#x2f;");
    let elsewhere =
        |text: String| text.replace(path, FOLDER).replace(&escaped(path), &escaped(FOLDER));
    files.into_iter().map(|(name, text)| (name, elsewhere(text))).collect()
}

/// The same without what is another each time.
fn normalised(files: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let folder = tempfile::tempdir().unwrap();
    let [raw, new] = ["raw", "new"].map(|name| folder.path().join(name));
    fs::create_dir_all(raw.join("sample/out")).unwrap();
    fs::create_dir(&new).unwrap();
    let plan = Hash::of(files["ceremony.toml"].as_bytes());
    fs::write(raw.join("sample/facts"), format!("plan {plan}\n")).unwrap();
    for (name, text) in files {
        fs::write(raw.join("sample/out").join(name), text).unwrap();
    }
    run(Command::new(root().join("tests/golden/normalise")).arg(&raw).arg(&new).arg("sample"));
    let read = |name: &String| fs::read_to_string(new.join("sample").join(name)).unwrap();
    files.keys().map(|name| (name.clone(), read(name))).collect()
}

/// The sample is what this rehearsal showed; `KEYFERRY_SAMPLE=FOLDER` writes it there instead.
pub fn holds(session: &str, work: &Path) {
    let now = made(session, work);
    if let Some(folder) = std::env::var_os("KEYFERRY_SAMPLE") {
        for (name, text) in &now {
            fs::write(Path::new(&folder).join(name), text).unwrap();
        }
        return;
    }
    let kept = root().join("docs/sample");
    let is_text = |name: &String| !name.ends_with(".png");
    let names = fs::read_dir(&kept).unwrap().map(|file| file.unwrap().file_name());
    let names: BTreeSet<String> = names.map(|name| name.into_string().unwrap()).collect();
    let names: Vec<&String> = names.iter().filter(|name| is_text(name)).collect();
    assert_eq!(names, now.keys().collect::<Vec<_>>(), "to make it again: tests/golden/sample");
    let read = |name: &String| fs::read_to_string(kept.join(name)).unwrap();
    let kept: BTreeMap<_, _> = now.keys().map(|name| (name.clone(), read(name))).collect();
    let (kept, now) = (normalised(&kept), normalised(&now));
    for (name, text) in &now {
        let differs = kept[name].lines().zip(text.lines()).find(|(before, now)| before != now);
        let lines = (kept[name].lines().count(), text.lines().count());
        assert!(
            kept[name] == *text,
            "docs/sample/{name} is not what people see: {differs:?}, lines {lines:?}. Where that is meant: tests/golden/sample"
        );
    }
}
