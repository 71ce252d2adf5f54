//! What goes to the nodes of the service and comes back: the brief, an order, a node's evidence.

use super::{Page, Source, end, parsed};
use crate::{
    Result,
    document::FORMAT,
    node::{Brief, NodeEvidence, Order, OrderKind, shown},
    phase::name,
    report::list,
};

/// Explains `register/registration.json`.
pub fn brief(source: &Source) -> Result<Page> {
    let brief: Brief = parsed(source, "the registration that nodes are given")?;
    let mut page = Page::new(
        "This is what every node of the hoster's service is told: which keys to use, and what to prove with them. Nobody signs it; evidence and log name its hash.",
    );
    page.value("ceremony", &brief.ceremony)
        .mode(brief.mode)
        .value("service", &brief.target)
        .plan(&brief.plan_hash)
        .value("package id", brief.package_id);
    if brief.trial {
        page.line("This is a trial: its keys never become primary.");
    }
    if let Some(ksp) = &brief.ksp {
        page.value("provider", ksp);
    }
    page.value("nodes", list(&brief.nodes));
    for key in &brief.keys {
        page.line(format!("  key {}, {}", key.label, name(&key.role)))
            .line(format!("    in the HSM: label {}, id {}", key.container, key.id))
            .line(format!("    certificate (SHA-1 thumbprint): {}", key.thumbprint))
            .line(format!("    public key (SHA-256): {}", key.spki));
    }
    end(&mut page, source, "the evidence of each node and the hoster's log name its SHA-256");
    Ok(page)
}

/// Explains an order.
pub fn order(source: &Source) -> Result<Page> {
    let order: Order = parsed(source, "an order")?;
    if order.format != FORMAT {
        return Err(source.broken("an order", format!("format {:?}", order.format)));
    }
    let what = match (order.order, &order.node) {
        (OrderKind::Install, Some(node)) => format!("the node {node} may begin"),
        (OrderKind::Install, None) => "a node may begin, but none is named".into(),
        (OrderKind::Activate, _) => "the keys of the ceremony become primary".into(),
        (OrderKind::Rollback, _) => "the former keys become primary again".into(),
    };
    let mut page = Page::new(
        "This is an order to the nodes of the hoster's service. Nobody signs it; it follows from the hoster's log.",
    );
    page.value("order", what)
        .value("number", order.number)
        .value("registration", order.brief)
        .value("former", shown(&order.former))
        .value("because of", order.because);
    end(&mut page, source, "keyferry-audit verify FOLDER");
    Ok(page)
}

/// Explains a node's evidence.
pub fn evidence(source: &Source) -> Result<Page> {
    let evidence = NodeEvidence::parse(&source.bytes, &source.name())?;
    let said = &evidence.statement;
    let mut page = Page::new(
        "This is the evidence of a node: that its service's account uses the tenant's keys there. A node's name is a claim: whoever reaches the key can sign any name.",
    );
    page.value("ceremony", &said.ceremony)
        .plan(&said.plan_hash)
        .value("node", &said.node)
        .value(
            "stage",
            match said.stage.name() {
                "ready" => "ready: before the keys were primary",
                _ => "active: with the keys primary",
            },
        )
        .value("machine", &said.machine)
        .value("time", &said.time)
        .value("made by", &said.account)
        .value("service runs as", said.service_account.as_deref().unwrap_or("not said"))
        .value("service started", said.service_started.as_deref().unwrap_or("not said"))
        .value("program", &said.program)
        .value("primary there", shown(&said.primaries));
    for key in &said.keys {
        page.line(format!("  key {}: certificate {}", key.label, key.thumbprint))
            .line(format!("    through {}, as {}", key.provider, key.container));
    }
    if let Some(diagnostics) = &said.diagnostics {
        page.title("WHAT THE SERVICE'S OWN DIAGNOSTICS SAY").quote(diagnostics);
    }
    end(
        &mut page,
        source,
        "keyferry-hoster evidence add FILE at the hoster; keyferry-audit verify FOLDER with the registration",
    );
    Ok(page)
}
