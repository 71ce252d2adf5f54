//! What the entries of a log mean, held against what lies in the archives: whoever takes a row out
//! of those tables loses a document's place.

use std::collections::BTreeSet;

use serde_json::json;

use super::*;
use record::log::{self, Event};

fn events(archive: &std::path::Path, side: &str) -> Vec<Event> {
    let name = format!("{side}.log.jsonl");
    let bytes = fs::read(archive.join(&name)).unwrap();
    log::entries(&bytes, &name).map(|entry| entry.unwrap().event).collect()
}

#[test]
fn entries_make_take_and_release_each_document_of_the_archive() {
    let mut ways = 0;
    for way in fs::read_dir(KEPT).unwrap() {
        let way = way.unwrap();
        ways += 1;
        for side in ["tenant", "hoster"] {
            let archive = way.path().join(side);
            let mut documents = BTreeSet::new();
            for kind in Kind::ALL {
                let main = archive.join(kind.name()).join(kind.file());
                if main.exists() {
                    documents.insert((kind, Hash::of(&fs::read(main).unwrap())));
                }
            }
            let (mut met, mut released) = (BTreeSet::new(), BTreeSet::new());
            for event in events(&archive, side) {
                // Each is made once, or taken once: by the side that makes it, or by the other.
                let (made, took) = (event.made(), event.took());
                for (document, own) in [(made, true), (took, false)] {
                    let Some(document) = document else { continue };
                    assert_eq!(document.0.side().to_string() == side, own, "{event:?}");
                    assert!(met.insert(document), "{event:?}");
                }
                if let Some((document, signatures)) = event.released() {
                    assert_eq!(signatures.len(), 2, "{event:?}");
                    assert!(released.insert(document), "{event:?}");
                }
            }
            let context = format!("{}", archive.display());
            assert_eq!(met, documents, "{context}");
            // The tenant's `close` takes the closing, and looks at its release without a record of
            // its own.
            documents.retain(|(kind, _)| (side, *kind) != ("tenant", Kind::Closing));
            let documents: BTreeSet<Hash> = documents.into_iter().map(|(_, hash)| hash).collect();
            assert_eq!(released, documents, "{context}");
        }
    }
    assert_eq!(ways, 7);
}

/// The same of what no ceremony that is kept has.
#[test]
fn entries_of_the_other_ways_make_and_take_theirs() {
    let event = |value| serde_json::from_value::<Event>(value).unwrap();
    let (closing, hash) = (Hash::of(b"closing"), Hash::of(b"x"));
    let token =
        json!({"manufacturer": "m", "model": "m", "serial": "1", "firmware": "1.0", "label": "l"});
    let signed = json!([{"id": "hana", "signature": hash}]);
    let destroyed = event(
        json!({"event": "source-destroy", "closing": closing, "backup": "none", "token": token, "keys": [], "signatures": signed}),
    );
    assert_eq!(destroyed.took(), Some((Kind::Closing, closing)));
    assert_eq!(destroyed.made(), None);
    let (document, by) = destroyed.released().unwrap();
    assert_eq!((document, by.len()), (closing, 1));
    let gone = event(json!({"event": "keys-destroy", "document": closing, "keys": []}));
    assert_eq!(gone.made(), Some((Kind::Closing, closing)));
    let plain = event(
        json!({"event": "import-plain", "document": hash, "fingerprint": hash, "attested": "witnessed", "token": token, "keys": [], "wrapped": []}),
    );
    assert_eq!(plain.made(), Some((Kind::Keys, hash)));
    // A KEK that goes with an aborted ceremony has taken nobody's acceptance.
    let aborted = event(
        json!({"event": "kek-destroy", "document": closing, "fingerprint": hash, "signatures": []}),
    );
    assert_eq!((aborted.took(), aborted.released()), (None, None));
}
