//! What pages look like: their language, and their paper.

use clap::Args;

use crate::page::Paper;
use record::show::Language;

/// Options of every command that makes a page.
#[derive(Debug, Clone, Copy, Args)]
pub struct Look {
    /// The language of the page: en or de
    #[arg(long, global = true, value_name = "LANGUAGE", default_value = "en")]
    pub language: Language,
    /// The paper: a4 or letter
    #[arg(long, global = true, value_name = "PAPER", default_value = "a4")]
    pub paper: Paper,
}
