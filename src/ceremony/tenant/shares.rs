//! `share confirm` and `share reissue`: nobody leaves before it is shown that they hold the right
//! share.

use std::path::PathBuf;

use clap::Args;

use crate::step::heard_words;
use crate::{Ceremony, Means, Report, Run, write_once};
use record::document::package::Package;
use record::layout::SHARES;
use record::plan::Custodian;
use record::share::{CODE_WORDS, MAX_SHARE_FILE, ShareListing};
use record::{Event, Result, Rule, Step, folder};
use terminal::texts::Texts;
use terminal::words::WordsHint;

/// Take the words that a custodian's own program shows
#[derive(Args)]
pub struct ShareConfirm {
    /// The custodian's id
    custodian: String,
    /// It is the custodian's deputy who confirms
    #[arg(long)]
    deputy: bool,
    /// In a rehearsal: the file that holds the words
    #[arg(long, value_name = "FILE")]
    words: Option<PathBuf>,
}

impl Run for ShareConfirm {
    fn run(&self, ceremony: &mut Ceremony, means: &Means) -> Result<Report> {
        ceremony.state.require(Step::ShareConfirm)?;
        let (custodian, listing) = listing_of(ceremony, &self.custodian)?;
        let has_deputy = custodian.has_deputy();
        let id = custodian.id;
        let name = ceremony.plan.name_of(&id);
        let prompt = Texts::spoken().get("ask.share_words", &[("who", &name)]);
        let from = (ceremony.plan.mode, self.words.as_deref());
        let hint = WordsHint::Count(CODE_WORDS);
        let typed = heard_words(from, &prompt, hint, means.asker, ceremony)?;
        let package = ceremony.sent::<Package>()?;
        listing.confirm(&package.body().package_id, &typed, &name)?;
        Rule::ShareCustodian.ensure(
            has_deputy || !self.deputy,
            format!("a deputy of {name}"),
            "a custodian for whom the plan names a second recipient, the deputy's",
            "let the custodian confirm",
        )?;
        let deputy = self.deputy;
        ceremony.record(Event::ShareConfirm { custodian: id.clone(), deputy })?;
        let left = ceremony.state.unconfirmed().count();
        let who = if deputy { "the deputy of " } else { "" };
        Ok(Report::new(format!("{who}{name} holds the right share.")).value("unconfirmed", left))
    }
}

/// Write a custodian's share file again
#[derive(Args)]
pub struct ShareReissue {
    /// The custodian's id
    custodian: String,
    /// The new file
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
}

impl Run for ShareReissue {
    fn run(&self, ceremony: &mut Ceremony, _: &Means) -> Result<Report> {
        ceremony.state.require(Step::ShareReissue)?;
        let (Custodian { id, .. }, listing) = listing_of(ceremony, &self.custodian)?;
        let path = ceremony.outbox(SHARES).join(format!("{id}.age"));
        let bytes = folder::read_file(&path, MAX_SHARE_FILE)?;
        listing.dealt(&bytes, &path)?;
        write_once(&self.to, &bytes, MAX_SHARE_FILE)?;
        ceremony.record(Event::ShareReissue { custodian: id.clone(), file: listing.file })?;
        let name = ceremony.plan.name_of(&id);
        Ok(Report::new(format!("The share file of {name} is written again; it is the same file."))
            .value("file", self.to.display().to_string())
            .value("sha256", listing.file.to_string()))
    }
}

fn listing_of(ceremony: &Ceremony, custodian: &str) -> Result<(Custodian, ShareListing)> {
    let planned = ceremony.plan.quorum.require(custodian)?;
    let package = ceremony.sent::<Package>()?;
    let listing = package.body().share_of(&planned.id)?;
    Ok((planned.clone(), listing.clone()))
}
