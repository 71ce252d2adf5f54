//! The report of a token: what it was seen to do, in words.

use super::{Page, Source, end, parsed};
use crate::{
    Result,
    document::FORMAT,
    phase::name,
    probe::{Outcome, Probe},
    signature::Namespace,
};

/// Explains a report.
pub fn show(source: &Source) -> Result<Page> {
    let probe: Probe = parsed(source, "the report of a token")?;
    if probe.format != FORMAT {
        return Err(source.broken("the report of a token", format!("format {:?}", probe.format)));
    }
    let mut page = Page::new(
        "This is the report of a token: what it answered and was seen to do with throwaway keys, before there is a plan. It is of no \
         ceremony and no attempt.",
    );
    page.value("side", format!("the {}'s token", probe.side))
        .value("made", format!("{}, by Keyferry {}", probe.time, probe.version));
    token(&mut page, &probe);
    transfers(&mut page, &probe);
    keks(&mut page, &probe);
    enforced(&mut page, &probe);
    page.title("WHAT ITS MODULE LISTS: a claim").value("mechanisms", probe.mechanisms.len());
    for facts in &probe.mechanisms {
        let name = facts.name.as_deref().unwrap_or("without a name");
        page.line(format!("    {} {name}", facts.id));
    }
    page.signing(
        source,
        Namespace::Probe,
        &format!(
            "You vouch that this report was made with the {}'s token, in your presence, and was not changed since. It binds nobody to a plan.",
            probe.side
        ),
        &[],
    );
    end(
        &mut page,
        source,
        "keyferry-audit plan check PLAN --probe FILE: it verifies the signatures beside the report, and foretells the day",
    );
    Ok(page)
}

fn token(page: &mut Page, probe: &Probe) {
    let (token, module, facts) = (&probe.token, &probe.module, &probe.facts);
    page.value(
        "token",
        format!(
            "{} {}, serial {}, firmware {}, hardware {}, label {}",
            token.manufacturer,
            token.model,
            token.serial,
            token.firmware,
            facts.hardware,
            token.label
        ),
    )
    .value(
        "module",
        format!(
            "{}: {} {}, version {}, SHA-256 {}",
            module.file, module.manufacturer, module.description, module.library, module.sha256
        ),
    )
    .value("family", probe.profile.known().name)
    .value(
        "PIN",
        format!(
            "{} to {} characters{}",
            facts.pin_shortest,
            facts.pin_longest,
            if facts.protected_path { ", on its own keypad" } else { "" }
        ),
    )
    .value("attestation", &probe.attestation)
    .value("trusted KEK", probe.trusted_kek());
}

fn transfers(page: &mut Page, probe: &Probe) {
    page.title("WRAPS AND UNWRAPS, tried with throwaway keys");
    for facts in &probe.transfers {
        let said = match &facts.outcome {
            Outcome::Works { kwp } => {
                let flavours: Vec<String> = kwp.iter().map(name).collect();
                format!("works ({})", flavours.join(", "))
            }
            Outcome::Refused { rule, found } => {
                format!("REFUSED by {} ({}): {found}", rule.name(), rule.text())
            }
            Outcome::Failed { found } => format!("FAILED: {found}"),
        };
        page.line(format!(
            "  {} {}, OAEP {}: {said}",
            name(&facts.direction),
            name(&facts.mechanism),
            name(&facts.oaep_hash)
        ));
    }
    for facts in &probe.key_wraps {
        let made = facts.made.map_or("nothing".into(), |bytes| format!("{bytes} bytes"));
        page.line(format!("  key wrap {}: made {made} of an AES-256 key", facts.id));
    }
    for facts in &probe.rsa {
        let made = if facts.made { "can be made" } else { "CAN NOT BE MADE" };
        page.line(format!("  RSA-{}: {made}", facts.bits));
    }
}

fn keks(page: &mut Page, probe: &Probe) {
    page.title("A KEK OF THE PLAN'S TEMPLATE");
    for facts in &probe.keks {
        let mechanism = name(&facts.mechanism);
        let missed = match &facts.missed {
            None => vec!["could not be made".to_owned()],
            Some(missed) if missed.is_empty() => vec!["misses no rule".to_owned()],
            Some(missed) => (missed.iter())
                .map(|one| format!("misses {}: {}", one.rule.name(), one.found))
                .collect(),
        };
        for said in missed {
            page.line(format!("  {mechanism}: {said}"));
        }
    }
}

fn enforced(page: &mut Page, probe: &Probe) {
    page.title("WHAT ITS ATTRIBUTES FORBADE WHEN IT WAS TRIED");
    for facts in &probe.enforced {
        let said = match facts.refused {
            Some(true) => "refused, as it must",
            Some(false) => "HELD AND NOT ENFORCED",
            None => "not held, or could not be tried",
        };
        page.line(format!("  {} of a {}: {}: {said}", facts.attribute, facts.object, facts.tried));
    }
}
