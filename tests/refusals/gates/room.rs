//! What people put into the record, and the bag that comes back with another number.

use super::*;

#[test]
fn everything_that_happens_in_the_room_has_its_place_in_the_record() {
    let stage = Stage::at(Done::Init);
    let notes: &[&[&str]] = &[
        &["remark", "the ceremony begins"],
        &["incident", "a phone rang"],
        &["break", "--stayed", "ada", "--stayed", "iris", "--text", "lunch"],
        &["bag-out", "the laptop", "--number", "A 1", "--condition", "intact"],
        &["bag-in", "the laptop", "--number", "A 1", "--condition", "intact"],
        &["medium", "4C530001", "--text", "blue stick"],
        &["arrival", "Cyd", "--text", "with a share"],
        &["departure", "Cyd"],
        &["video", "tape 1, 00:12:00"],
    ];
    for note in notes {
        stage.tenant(&[&["note"], *note].concat()).ok();
    }
    let kinds: Vec<_> = (events(&stage, "tenant", "note").iter())
        .map(|entry| entry["remark"]["kind"].as_str().unwrap().to_owned())
        .collect();
    let asked: Vec<_> = notes.iter().map(|note| note[0]).collect();
    assert_eq!(kinds, asked);
    stage.tenant(&["note", "remark", " "]).ended_with(2);
    stage.tenant(&["note", "remark", &"x".repeat(5000)]).ended_with(2);
    let verdict = verify::verify(&[stage.path("tenant")], &Against::default()).unwrap();
    for said in [
        "break; with the machine stayed ada, iris: lunch",
        "bag A 1 out with the laptop, intact",
        "medium 4C530001: blue stick",
        "Cyd came: with a share",
        "video tape 1, 00:12:00",
    ] {
        assert!(
            verdict.noted.iter().any(|line| line.contains(said)),
            "{said}: {:?}",
            verdict.noted
        );
    }
}

/// A scanner that types like a keyboard reads the bag, or its label.
#[test]
fn the_number_of_a_bag_is_scanned_where_none_is_given() {
    let stage = Stage::at(Done::Init);
    let scanned = |way: &str, line: &str| {
        fs::write(stage.path("scanned"), line).unwrap();
        let mut command =
            stage.command("hoster", &["note", way, "the laptop", "--condition", "intact"]);
        crate::common::stage::ended(command.stdin(fs::File::open(stage.path("scanned")).unwrap()))
    };
    let said = scanned("bag-out", "A 1234567\n").ok();
    assert!(said.contains("bag A 1234567 out with the laptop, intact"), "{said}");
    scanned("bag-in", "A 1234567\r\n").ok();
    stage.hoster(&["kek", "create"]).ok();
    scanned("bag-out", "").ended_with(4);
    scanned("bag-out", "\n").ended_with(4);
}

#[test]
fn a_bag_that_comes_back_wrong_blocks_until_two_officers_have_signed() {
    for (number, condition) in [("A 2", "intact"), ("A 1", "damaged")] {
        let mut stage = Stage::at(Done::Init);
        let bag = |way: &str, number: &str, condition: &str| {
            let note = ["note", way, "the laptop", "--number", number, "--condition", condition];
            stage.hoster(&note).ok()
        };
        bag("bag-out", "A 1", "intact");
        let said = bag("bag-in", number, condition);
        assert!(
            said.contains("It blocks every step of this side but `deviation` and `abort`"),
            "{said}"
        );
        let text = stage.hoster(&["kek", "create"]).refused("BAG-NUMBER");
        assert!(
            text.contains(number) && text.contains("A 1") && text.contains("deviation"),
            "{text}"
        );
        // What people say of it does not help; one officer does not either.
        stage.hoster(&["note", "remark", "the label was read wrongly"]).ok();
        stage.hoster(&["deviation"]).ended_with(6);
        stage.approve("hoster", "deviation", &["hana"]);
        stage.hoster(&["deviation"]).ended_with(6);
        stage.hoster(&["kek", "create"]).refused("BAG-NUMBER");
        let status = stage.hoster(&["status"]);
        assert!(status.err.contains("deviation"), "{}", status.err);
        stage.approve("hoster", "deviation", &["hugo"]);
        stage.hoster(&["deviation"]).ok();
        stage.hoster(&["deviation"]).ended_with(1);
        stage.walk_to(Done::KekCreate);
        // The next one needs signatures of its own.
        let bag =
            ["note", "bag-in", "a stick", "--number", "B", "--condition", "damaged", "--first"];
        stage.hoster(&bag).ok();
        stage.sign_document("hoster", "offer", &["hana", "hugo"]);
        stage.hoster(&["release"]).refused("BAG-NUMBER");
        stage.hoster(&["deviation"]).ended_with(6);
        // Ending it is always possible.
        let abort = ["abort", "--reason", "the stick was opened"];
        stage.pass("hoster", "abort", &abort);
        stage.hoster(&abort).ok();
    }
}

#[test]
fn a_package_leaves_with_one_more_than_a_quorum_and_a_signed_deviation() {
    let mut stage = Stage::at(Done::Export);
    let confirm = |id: &str| {
        let (file, identity) =
            (format!("tenant/outbox/shares/{id}.age"), format!("people/{id}.identity"));
        let words = stage.custodian(&["share", "check", &file, "--identity", &identity]).ok();
        let words = stage.words(id, &words);
        stage.tenant(&["share", "confirm", id, "--words", &words]).ok();
    };
    for id in ["cyd", "dan", "eve"] {
        confirm(id);
    }
    stage.sign_document("tenant", "package", &["ada", "ben"]);
    stage.tenant(&["release"]).refused("SHARE-UNCONFIRMED");
    confirm("fay");
    stage.pass("tenant", "deviation", &["release"]);
    let request = stage.json("tenant/approvals/01-deviation.json");
    assert_eq!(request["subject"]["custodians"], serde_json::json!(["gus"]));
    stage.tenant(&["release"]).ok();
    stage.carry("tenant", "package");
    stage.done = Some(Done::PackageRelease);
    stage.walk_to(Done::TenantClose);
    let verdict = audited(&stage);
    assert!(verdict.noted.iter().any(|line| line.contains("deviation")), "{:?}", verdict.noted);
}

#[test]
fn a_deputy_confirms_and_comes_in_a_custodians_place() {
    let deputy = custody::custodian::new_identity(None).unwrap();
    let mut stage = Stage::new(|plan| {
        let cyd = plan.find("id = \"cyd\"").unwrap();
        let end = cyd + plan[cyd..].find("\"]").unwrap() + 1;
        format!("{}, \"{}\"{}", &plan[..end], deputy.recipient, &plan[end..])
    });
    fs::write(stage.path("people/deputy.identity"), &*deputy.file).unwrap();
    stage.walk_to(Done::Export);
    let share = "tenant/outbox/shares/cyd.age";
    let check = ["share", "check", share, "--identity", "people/deputy.identity"];
    let words = stage.words("cyd", &stage.custodian(&check).ok());
    let confirm = ["share", "confirm", "cyd", "--deputy", "--words", &words];
    let said = stage.tenant(&confirm).ok();
    assert!(said.contains("the deputy of cyd"), "{said}");
    assert_eq!(events(&stage, "tenant", "share-confirm")[0]["deputy"], true);
    stage.walk_to(Done::PackageCheck);
    let mut arguments = vec!["import".to_owned(), "medium/package".into()];
    arguments.extend(["--share", share, "--identity", "people/deputy.identity"].map(str::to_owned));
    arguments.extend(stage.shares(&["dan", "eve"]));
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    stage.pass("hoster", "import", &arguments);
    stage.hoster(&arguments).ok();
    let quorum = &events(&stage, "hoster", "quorum")[0];
    assert_eq!(quorum["deputies"], serde_json::json!(["cyd"]));
    stage.done = Some(Done::Import);
    stage.walk_to(Done::TenantClose);
    audited(&stage);
}

/// What officers signed a deviation for is exactly what was wrong then.
#[test]
fn a_deviation_does_not_cover_what_went_wrong_after_it_was_signed() {
    let stage = Stage::at(Done::Init);
    let damaged = |item: &str| {
        let about = ["--number", "1", "--condition", "damaged", "--first"];
        stage.hoster(&[&["note", "bag-in", item][..], &about].concat()).ok();
    };
    damaged("a stick");
    stage.pass("hoster", "deviation", &["deviation"]);
    damaged("a laptop");
    let text = stage.hoster(&["deviation"]).ended_with(6);
    assert!(text.contains("01-deviation.json asked for something else"), "{text}");
    stage.hoster(&["kek", "create"]).refused("BAG-NUMBER");
    stage.approve("hoster", "deviation", &["hana", "hugo"]);
    stage.hoster(&["deviation"]).ok();
    stage.hoster(&["kek", "create"]).ok();
}

/// Officers are not asked to sign for less than what is there now.
#[test]
fn a_deviation_is_void_once_another_bag_comes_back_wrong() {
    let stage = Stage::at(Done::Init);
    let bag = |item: &str| {
        let about = ["--number", "B", "--condition", "damaged", "--first"];
        stage.hoster(&[&["note", "bag-in", item][..], &about].concat()).ok();
    };
    let status = |request: &str| {
        let said = stage.hoster(&["status"]).ok();
        let line = said.lines().find(|line| line.contains(request)).map(str::to_owned);
        line.map(|line| line.split(':').next().unwrap().to_owned())
    };
    bag("one stick");
    stage.hoster(&["deviation"]).ended_with(6);
    assert_eq!(status("01-deviation.json").as_deref(), Some("waiting"));
    bag("another stick");
    assert_eq!(status("01-deviation.json").as_deref(), Some("void"));
    stage.hoster(&["deviation"]).ended_with(6);
    assert_eq!(status("02-deviation.json").as_deref(), Some("waiting"));
    stage.approve("hoster", "deviation", &["hana", "hedy"]);
    stage.hoster(&["deviation"]).ok();
    // What was acted on waits for nobody; what was not is void.
    assert_eq!(status("02-deviation.json"), None);
    assert_eq!(status("01-deviation.json").as_deref(), Some("void"));
}
