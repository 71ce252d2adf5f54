//! Every page, printed by a real browser and looked at as whoever holds it would.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::codes::zbar;
use crate::common::{
    programs, run,
    stage::{CUSTODIANS, Done, Setting, Stage, ended},
};
use custody::codes::{
    frames::{self, NamedFile},
    lines::TypedLines,
};
use record::{encoding::Hash, plan::Plan, terms::Side, verify};
use terminal::guide;

/// A page on paper: its PDF, and a picture of each sheet at 150 dots an inch.
struct Printed {
    pdf: PathBuf,
    sheets: Vec<PathBuf>,
}

/// Lets a browser without a network print a page.
fn printed(html: &Path) -> Printed {
    let pdf = html.with_extension("pdf");
    let profile = html.with_extension("profile");
    run(Command::new("chromium")
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
        ])
        .args(["--host-resolver-rules=MAP * ~NOTFOUND", "--no-pdf-header-footer"])
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg(format!("--print-to-pdf={}", pdf.display()))
        .arg(format!("file://{}", html.display())));
    let stem = html.with_extension("");
    run(Command::new("pdftoppm").args(["-r", "150", "-png"]).arg(&pdf).arg(&stem));
    let name = stem.file_name().unwrap().to_string_lossy().into_owned();
    let mut sheets: Vec<PathBuf> = fs::read_dir(html.parent().unwrap())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            let file = path.file_name().unwrap().to_string_lossy();
            file.ends_with(".png") && file.starts_with(&format!("{name}-"))
        })
        .collect();
    sheets.sort();
    Printed { pdf, sheets }
}

impl Printed {
    /// The words of a sheet, from 1, each with its place in points: left, top, right, bottom.
    fn words(&self, sheet: usize) -> (f64, f64, Vec<([f64; 4], String)>) {
        let n = sheet.to_string();
        let text = run(Command::new("pdftotext")
            .args(["-bbox", "-f", &n, "-l", &n])
            .arg(&self.pdf)
            .arg("-"));
        let text = String::from_utf8(text).unwrap();
        let value = |tag: &str, name: &str| -> f64 {
            let (_, rest) = tag.split_once(&format!("{name}=\"")).unwrap();
            rest.split_once('"').unwrap().0.parse().unwrap()
        };
        let page = text.lines().find(|line| line.contains("<page ")).unwrap();
        let words = text.lines().filter_map(|line| {
            let (tag, rest) = line.trim().strip_prefix("<word ")?.split_once('>')?;
            let place = ["xMin", "yMin", "xMax", "yMax"].map(|name| value(tag, name));
            Some((place, rest.strip_suffix("</word>")?.to_owned()))
        });
        (value(page, "width"), value(page, "height"), words.collect())
    }

    /// The text of every sheet.
    fn text(&self) -> String {
        let text = run(Command::new("pdftotext").arg("-layout").arg(&self.pdf).arg("-"));
        String::from_utf8(text).unwrap()
    }

    /// Nothing is cut off: every word lies inside the margins, and REHEARSAL across every sheet.
    fn is_whole(&self, pages: std::ops::RangeInclusive<usize>, paper: (f64, f64)) {
        assert!(
            pages.contains(&self.sheets.len()),
            "{}: {} sheets",
            self.pdf.display(),
            self.sheets.len()
        );
        for sheet in 1..=self.sheets.len() {
            let (width, height, words) = self.words(sheet);
            assert!(
                (width - paper.0).abs() < 1.5 && (height - paper.1).abs() < 1.5,
                "{width} x {height}"
            );
            assert!(words.len() > 5, "{}: sheet {sheet} is empty", self.pdf.display());
            let mut rehearsal = String::new();
            for ([left, top, right, bottom], word) in &words {
                // What lies across the page is turned: its letters stand alone.
                if right - left > 30.0 && bottom - top > 30.0 || word.chars().count() == 1 {
                    rehearsal.push_str(word);
                    continue;
                }
                let inside =
                    *left > 25.0 && *top > 20.0 && *right < width - 25.0 && *bottom < height - 15.0;
                assert!(
                    inside,
                    "{}: sheet {sheet}: {word:?} at {left} {top} {right} {bottom}",
                    self.pdf.display()
                );
            }
            let text = run(Command::new("pdftotext")
                .args(["-raw", "-f", &sheet.to_string(), "-l", &sheet.to_string()])
                .arg(&self.pdf)
                .arg("-"));
            let text = String::from_utf8(text).unwrap().replace(char::is_whitespace, "");
            assert!(
                text.contains("REHEARSAL"),
                "{}: sheet {sheet}: {rehearsal} {text}",
                self.pdf.display()
            );
        }
    }

    /// A sheet at 300 dots an inch, as an office scanner sees it.
    fn fine(&self, sheet: usize) -> PathBuf {
        let (n, stem) = (sheet.to_string(), self.pdf.with_extension("fine"));
        run(Command::new("pdftoppm")
            .args(["-r", "300", "-png", "-singlefile", "-f", &n, "-l", &n])
            .arg(&self.pdf)
            .arg(&stem));
        stem.with_extension("fine.png")
    }

    /// Every code of every sheet, as zbar reads it. Now and then one is not found at 150 dots an
    /// inch: then whoever scans does it again, finer.
    fn codes(&self, thorough: bool) -> Vec<String> {
        let mut codes: Vec<String> = self.sheets.iter().flat_map(|sheet| zbar(sheet)).collect();
        let mut read = frames::ScannedFrames::default();
        for code in &codes {
            read.add(code).unwrap();
        }
        let missing: usize = read.progress().iter().map(|one| one.missing.len()).sum();
        if missing > 0 {
            assert_eq!(missing, 1, "{:?}", read.progress());
            let sheets = 1..=self.sheets.len();
            codes.extend(sheets.flat_map(|sheet| zbar(&self.fine(sheet))));
        }
        self.are_scanned(&codes, thorough);
        codes
    }

    /// Keyferry's own reader reads every code of the whole sheets too, at every resolution that
    /// people choose; in the selection each sheet at one of them.
    fn are_scanned(&self, codes: &[String], thorough: bool) {
        let resolutions = ["150", "200", "300"];
        let mut read = [const { BTreeSet::new() }; 3];
        for sheet in 0..self.sheets.len() {
            let n = (sheet + 1).to_string();
            for (at, dots) in resolutions.iter().enumerate() {
                if !thorough && at != sheet % 3 {
                    continue;
                }
                let stem = self.pdf.with_extension(dots);
                run(Command::new("pdftoppm")
                    .args(["-r", dots, "-png", "-singlefile", "-f", &n, "-l", &n])
                    .arg(&self.pdf)
                    .arg(&stem));
                let picture = stem.with_extension(format!("{dots}.png"));
                read[at].extend(custody::codes::scan::frames_in(&picture).unwrap());
            }
        }
        let all: BTreeSet<String> = codes.iter().cloned().collect();
        match thorough {
            true => read.iter().for_each(|read| assert_eq!(*read, all, "{}", self.pdf.display())),
            false => {
                let read: BTreeSet<String> = read.into_iter().flatten().collect();
                assert_eq!(read, all, "{}", self.pdf.display());
            }
        }
    }
}

fn files_of(codes: &[String]) -> Vec<NamedFile> {
    let mut read = frames::ScannedFrames::default();
    for code in codes {
        read.add(code).unwrap();
    }
    read.finish().unwrap()
}

const A4: (f64, f64) = (595.3, 841.9);
const LETTER: (f64, f64) = (612.0, 792.0);

fn print(stage: &Stage, side: &str, page: &[&str], look: &[&str]) -> Printed {
    let said = stage.side(side, &[&["--json", "print"], page, look].concat()).ok();
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    let path = stage.path("").join(said["page"].as_str().unwrap());
    let html = fs::read_to_string(&path).unwrap();
    for foreign in ["http://", "https://", "<script", "url(", "@import"] {
        let beside = html.replace("http://www.w3.org/2000/svg", "");
        assert!(!beside.contains(foreign), "{foreign}");
    }
    printed(&path)
}

/// Paints over a tenth of the area of a sheet's first code, in one place after the other.
fn painted_over(sheet: &Path) -> Vec<PathBuf> {
    let picture = image::open(sheet).unwrap().into_luma8();
    let (width, height) = picture.dimensions();
    // The first code of the sheet: where its first finder pattern begins.
    let dark = |x: u32, y: u32| picture.get_pixel(x, y).0[0] < 60;
    let side = (79.0 / 25.4 * 300.0) as u32;
    let (left, top) = (0..height - side)
        .flat_map(|y| (0..width - side).map(move |x| (x, y)))
        .find(|&(x, y)| (0..48).all(|d| dark(x + d, y) && dark(x, y + d)))
        .expect("a finder pattern");
    let code = side - 2 * 4 * side / 85;
    let places = [(0.45, 0.3), (0.62, 0.55), (0.35, 0.35), (0.3, 0.1), (0.48, 0.48), (0.1, 0.45)];
    places
        .iter()
        .enumerate()
        .map(|(n, (x, y))| {
            let mut painted = picture.clone();
            let edge = (f64::from(code) * 0.1_f64.sqrt()) as u32;
            let (x, y) = (left + (f64::from(code) * x) as u32, top + (f64::from(code) * y) as u32);
            for (x, y) in (x..x + edge).flat_map(|x| (y..y + edge).map(move |y| (x, y))) {
                painted.put_pixel(x, y, image::Luma([30]));
            }
            let path = sheet.with_extension(format!("painted-{n}.png"));
            painted.save(&path).unwrap();
            path
        })
        .collect()
}

/// How a page may look: its options, and its size in points.
type Look = (&'static [&'static str], (f64, f64));
const LOOKS: [Look; 2] =
    [(&["--paper", "a4"], A4), (&["--paper", "letter", "--language", "de"], LETTER)];

#[test]
fn a_page_of_each_kind_is_whole_and_its_codes_are_read_from_paper() {
    let each = [("tenant", LOOKS[0]), ("hoster", LOOKS[1])];
    pages(&each, &LOOKS[1..], &[("cyd", LOOKS[0])]);
}

#[test]
#[ignore = "minutes: `ceremony-scripts/test --part paper`"]
fn every_page_is_whole_and_its_codes_are_read_from_paper() {
    let scripts = LOOKS.map(|look| [("tenant", look), ("hoster", look)]).concat();
    pages(&scripts, &LOOKS, &[("cyd", LOOKS[0]), ("dan", LOOKS[1])]);
}

/// Scripts of sides, the offer, custodians' shares, each in these looks; and all else once.
fn pages(scripts: &[(&str, Look)], offers: &[Look], shares: &[(&str, Look)]) {
    let thorough = scripts.len() > 2;
    let mut stage = Stage::of(Setting::composite(), Done::OfferRelease);
    for (side, (look, paper)) in scripts {
        let page = print(&stage, side, &["script"], look);
        page.is_whole(3..=12, *paper);
    }
    stage.tenant(&["print", "script"]).ok();
    for &(look, paper) in offers {
        let page = print(&stage, "hoster", &["offer"], look);
        page.is_whole(2..=6, paper);
        let text = page.text();
        for word in stage.kek_words().split(' ') {
            assert!(text.contains(word), "{word}: {text}");
        }
        offer_is_in(&stage, &files_of(&page.codes(thorough)));
    }
    stage.walk_to(Done::Confirm);
    for &(id, (look, paper)) in shares {
        let page = print(&stage, "tenant", &["share", id], look);
        page.is_whole(1..=3, paper);
        share_is_in(&stage, id, &page, thorough);
    }
    labels(&stage);
    let page = print(&stage, "tenant", &["document", "package"], &[]);
    page.is_whole(4..=16, A4);
    assert!(files_of(&page.codes(thorough)).iter().any(|(name, _)| name == "package/package.json"));
    stage.walk_to(Done::TenantClose);
    printed_after_the_end(&stage);
    for side in ["tenant", "hoster"] {
        let page = print(&stage, side, &["transcript"], &[]);
        page.is_whole(2..=9, A4);
        let head = stage.json(&format!("{side}/archive/head.json"));
        let text = page.text();
        assert!(text.contains(head["head"].as_str().unwrap()));
        told(&stage, side, &text);
        let bytes = fs::read(stage.path(&format!("{side}/archive/head.json"))).unwrap();
        assert!(files_of(&page.codes(thorough)).contains(&("head.json".to_owned(), bytes)));
        let german = ["--json", "print", "transcript", "--language", "de"];
        let german: serde_json::Value =
            serde_json::from_str(&stage.side(side, &german).ok()).unwrap();
        let german = fs::read_to_string(stage.path("").join(german["page"].as_str().unwrap()));
        let german = german.unwrap();
        assert!(german.contains("die Zeremonie wurde auf dieser Seite abgeschlossen"), "{german}");
        for english in ["released by", " were ", "signed the ", " began ", "rehearsal<"] {
            assert!(!german.contains(english), "{english} in {german}");
        }
    }
    // Every copy has its number, in the record too, and the record holds.
    let log = fs::read_to_string(stage.path("tenant/log.jsonl")).unwrap();
    for copy in 1..=2 {
        assert!(
            log.contains(&format!("\"copy\":{copy},\"kind\":\"printed\",\"page\":\"script\"")),
            "{log}"
        );
    }
    let folders = ["tenant", "hoster"].map(|side| stage.path(side));
    let verdict = verify::verify(&folders, &verify::Against::default()).unwrap();
    assert!(verdict.text().contains("printed share-cyd, copy 1"));
    stage.verdict();
}

/// A label for each thing that is carried: its code is what a scanner types, its words are those of
/// the file.
fn labels(stage: &Stage) {
    let first_words = |file: &str| {
        let hash = Hash::of(&fs::read(stage.path(file)).unwrap());
        record::fingerprint::words(&hash.0)[..16].join(" ")
    };
    let package = Hash::of(&fs::read(stage.path("tenant/outbox/package/package.json")).unwrap());
    let share = Hash::of(&fs::read(stage.path("tenant/outbox/shares/cyd.age")).unwrap());
    for (label, code, of) in [
        (&["bag", "the tenant's laptop", "A 1234567"][..], "A 1234567".to_owned(), "ceremony.toml"),
        (&["medium", "package"], package.to_string(), "outbox/package/package.json"),
        (&["envelope", "cyd"], share.to_string(), "outbox/shares/cyd.age"),
    ] {
        let page = print(stage, "tenant", &[&["label"][..], label].concat(), &[]);
        page.is_whole(1..=1, A4);
        assert_eq!(zbar(&page.fine(1)), [code]);
        let text = page.text().replace(char::is_whitespace, " ");
        for word in first_words(&format!("tenant/{of}")).split(' ') {
            assert!(text.contains(word), "{word}: {text}");
        }
        assert!(text.contains(label[label.len() - 1]), "{text}");
    }
    stage.tenant(&["print", "label", "envelope", "mallory"]).refused("SHARE-CUSTODIAN");
    stage.tenant(&["print", "label", "medium", "receipt"]).ended_with(1);
}

/// What is carried then has its label too, on no record; a share has no sheet any more.
fn printed_after_the_end(stage: &Stage) {
    let log = || fs::read(stage.path("tenant/log.jsonl")).unwrap();
    let before = log();
    let archive = ["bag", "the archive", "A 7654321"];
    for label in [&archive[..], &["medium", "package"], &["envelope", "cyd"]] {
        let print = [&["--json", "print", "label"][..], label].concat();
        let said: serde_json::Value = serde_json::from_str(&stage.tenant(&print).ok()).unwrap();
        let page = fs::read_to_string(stage.path(said["page"].as_str().unwrap())).unwrap();
        assert!(page.contains("printed after the end, not on record"), "{label:?}: {page}");
        assert!(page.contains(label[1]) && said.get("copy").is_none(), "{label:?}: {said}");
    }
    stage.tenant(&["print", "share", "cyd"]).refused("PHASE-ORDER");
    assert_eq!(log(), before);
}

/// The transcript says whose ceremony it was, with which keys, who is on record and who is not; and
/// what is printed after the end is on no record.
fn told(stage: &Stage, side: &str, text: &str) {
    let plan = Plan::read(&stage.path("plan/ceremony.toml")).unwrap();
    for name in [&plan.tenant.name, &plan.hoster.name] {
        assert!(text.contains(name.as_str()), "{name}: {text}");
    }
    for key in &plan.keys {
        assert!(text.contains(key.label.as_str()), "{text}");
    }
    assert!(text.contains("printed after the end, not on record"), "{text}");
    assert!(!text.contains("· copy"), "{text}");
    let log = fs::read_to_string(stage.path(&format!("{side}/log.jsonl"))).unwrap();
    let begun = log.lines().filter(|line| line.contains("\"event\":\"intent\""));
    let begun: Vec<String> = begun
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["seq"].to_string())
        .collect();
    let left_out = text.split("Entries ").nth(1).unwrap().split(" say only that").next().unwrap();
    let left_out: Vec<&str> = left_out.split([',', ' ', '\n']).filter(|n| !n.is_empty()).collect();
    assert_eq!(left_out, begun);
    assert!(text.contains("has signed") && text.contains("does not appear"), "{text}");
    assert!(text.contains("has confirmed, or presented,"), "{text}");
}

fn offer_is_in(stage: &Stage, files: &[NamedFile]) {
    let offer = fs::read(stage.path("hoster/outbox/offer/offer.json")).unwrap();
    let found = files.iter().find(|(name, _)| name == "offer/offer.json");
    assert_eq!(found.unwrap().1, offer);
    assert_eq!(files.len(), 3, "with its signatures");
}

/// The share file comes back from codes, from codes that are damaged, and from lines that somebody
/// types.
fn share_is_in(stage: &Stage, id: &str, page: &Printed, thorough: bool) {
    let file = fs::read(stage.path(&format!("tenant/outbox/shares/{id}.age"))).unwrap();
    let codes = page.codes(thorough);
    assert_eq!(files_of(&codes), [(format!("{id}.age"), file.clone())]);
    let with_code = page.sheets.iter().position(|sheet| !zbar(sheet).is_empty()).unwrap();
    let fine = page.fine(with_code + 1);
    let whole = zbar(&fine);
    // A blot can hide what a decoder steers by; so it is not each of six that is read, and the
    // lines are there too.
    let painted = painted_over(&fine);
    let read = painted.iter().filter(|painted| {
        let mut codes = zbar(painted);
        codes.extend(custody::codes::scan::frames_in(painted).unwrap_or_default());
        whole.iter().all(|code| codes.contains(code))
    });
    let (read, of) = (read.count(), painted.len());
    assert!(of == 6 && read >= 4, "{read} of {of} blots: {}", fine.display());
    // As it stands on the paper: number, six groups, check. In the order in which it was written,
    // so that what lies across is apart.
    let text = run(Command::new("pdftotext").arg("-raw").arg(&page.pdf).arg("-"));
    let text = String::from_utf8(text).unwrap();
    let is_line = |words: &[&str]| {
        words[0].len() == 2
            && words[0].parse::<u32>().is_ok()
            && words[1..].iter().all(|word| word.len() == 4)
    };
    let mut lines: Vec<(u32, String)> = Vec::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        for words in words.windows(8).filter(|words| is_line(words)) {
            lines.push((words[0].parse().unwrap(), words[1..].join(" ")));
        }
    }
    lines.sort();
    let mut typed = TypedLines::default();
    for (n, line) in &lines {
        if *n == 5 {
            let error = typed.take(&format!("???{}", &line[3..])).unwrap_err();
            assert!(error.to_string().contains("line 5:"), "{error}");
        }
        (typed.take(line)).unwrap_or_else(|error| panic!("{error}: {lines:?}"));
    }
    assert!(typed.is_whole(), "{lines:?}");
    let bytes = typed.finish().unwrap().bytes;
    assert_eq!(custody::custodian::with_armour(&bytes).unwrap(), file);
}

#[test]
fn the_script_lists_the_commands_of_the_table() {
    for (setting, change) in
        [(Setting::default(), "keep"), (Setting::composite(), "destroy"), (Setting::born(), "keep")]
    {
        let mut stage =
            Stage::with(setting, |plan| plan.replace("\"keep\"", &format!("\"{change}\"")));
        stage.walk_to(Done::Init);
        let plan = Plan::read(&stage.path("plan/ceremony.toml")).unwrap();
        for side in [Side::Tenant, Side::Hoster] {
            let name = side.to_string();
            stage.side(&name, &["print", "script"]).ok();
            let html =
                fs::read_to_string(stage.path(&format!("{name}/paper/script-1.html"))).unwrap();
            let listed: Vec<String> = html
                .split("data-command>")
                .skip(1)
                .map(|rest| rest.split_once("</code>").unwrap().0.replace("&#x2f;", "/"))
                .collect();
            // On paper too with every option: it is typed as it stands there.
            let options = stage.command(&name, &[]);
            let options: Vec<_> = options.get_args().map(|one| one.to_str().unwrap()).collect();
            let planned: Vec<String> = guide::script(&plan, side)
                .iter()
                .map(|turn| turn.command(&plan).to_string())
                .map(|line| line.replace("--dir CEREMONY", &options.join(" ")))
                .collect();
            assert_eq!(listed, planned);
            assert!(listed.len() > 5);
            // What a killed command, or somebody, has left where the next copy would lie costs a
            // number and no more.
            let left = stage.path(&format!("{name}/paper/script-2.html"));
            fs::write(&left, "left").unwrap();
            stage.side(&name, &["print", "script"]).refused("FILE-EXISTS");
            stage.side(&name, &["print", "script"]).ok();
            assert_eq!(fs::read_to_string(left).unwrap(), "left");
            assert!(stage.path(&format!("{name}/paper/script-3.html")).exists());
        }
    }
}

#[test]
fn what_cannot_be_printed_is_refused_and_leaves_nothing() {
    let stage = Stage::of(Setting::composite(), Done::Export);
    for side in ["tenant", "hoster"] {
        stage.side(side, &["print", "transcript"]).refused("PHASE-ORDER");
    }
    stage.tenant(&["print", "share", "mallory"]).refused("SHARE-CUSTODIAN");
    stage.hoster(&["print", "document", "receipt"]).ended_with(1);
    let file = stage.path("tenant/outbox/shares/eve.age");
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&file, bytes).unwrap();
    stage.tenant(&["print", "share", "eve"]).refused("SHARE-FILE");
    for side in ["tenant", "hoster"] {
        assert!(!stage.path(&format!("{side}/paper")).exists());
    }
    // An identity in the clear is none to print.
    let plain = stage.path("people/cyd.identity").display().to_string();
    let sheet = stage.path("sheet.html").display().to_string();
    stage.custodian(&["identity", "sheet", &plain, &sheet]).refused("IDENTITY-PASSPHRASE");
    assert!(!stage.path("sheet.html").exists());
    assert_eq!(CUSTODIANS.len(), 5);
}

#[test]
fn an_identity_comes_back_from_its_sheet() {
    let folder = tempfile::tempdir().unwrap();
    let passphrase = zeroize::Zeroizing::new("correct horse battery staple".to_owned());
    let identity = custody::custodian::new_identity(Some(passphrase)).unwrap();
    let file = folder.path().join("identity.age");
    fs::write(&file, &*identity.file).unwrap();
    let page = folder.path().join("sheet.html");
    // What stands on the sheet goes into a plan: one slip, and it would be nobody's.
    let slip = identity.recipient.replace("age1", "age1q");
    let mut command = Command::new(programs::CUSTODIAN);
    command.args(["identity", "sheet", "--recipient", &slip]).arg(&file).arg(&page);
    let said = ended(&mut command).ended_with(2);
    assert!(said.contains(&slip) && said.contains("is no recipient"), "{said}");
    assert!(!page.exists());
    let mut command = Command::new(programs::CUSTODIAN);
    command.args(["identity", "sheet", "--rehearsal", "--ceremony", "contoso-2026"]);
    command.args(["--name", "Cyd Custodian", "--recipient", &identity.recipient]);
    run(command.arg(&file).arg(&page));
    let page = printed(&page);
    page.is_whole(1..=2, A4);
    assert_eq!(files_of(&page.codes(true)), [("identity.age".to_owned(), identity.file.to_vec())]);
    let text = page.text();
    assert!(!text.contains("correct horse"));
    assert!(text.contains("Cyd Custodian") && text.contains("(version 2)"), "{text}");
    assert!(text.replace(char::is_whitespace, "").contains(&identity.recipient), "{text}");
}
