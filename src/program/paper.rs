//! Paper and camera: `print`, `qr`, `scan`.

use std::{path::PathBuf, process::ExitCode};

use clap::Subcommand;

use crate::{
    Common,
    print::{self, Page},
};
use custody::codes::{scan, show};
use desk::look::Look;
use record::{
    Result,
    terms::{Mode, Side},
};
use terminal::{Asker, report::Report};

/// Files as QR codes, and back.
#[derive(Subcommand)]
pub enum Codes {
    /// Show a document's folder, or files, as QR codes: on the terminal one after another, or as
    /// pictures. For nothing that is secret
    Qr {
        /// A folder of outbox/, or files
        #[arg(required = true)]
        paths: Vec<PathBuf>,
        /// A folder for pictures (PNG), in place of the terminal
        #[arg(long, value_name = "FOLDER")]
        to: Option<PathBuf>,
        /// The terminal's background is light
        #[arg(long)]
        light: bool,
    },
    /// Read pictures of QR codes (PNG, JPEG), and write the files that they carry
    Scan {
        /// The pictures, in any order
        #[arg(required = true)]
        pictures: Vec<PathBuf>,
        /// A folder for the files
        #[arg(long, value_name = "FOLDER", default_value = ".")]
        to: PathBuf,
    },
}

impl Codes {
    /// Shows, or reads.
    ///
    /// # Errors
    /// `FRAME-…`, `FILE-EXISTS`.
    pub fn run(&self) -> Result<Report> {
        match self {
            Codes::Scan { pictures, to } => scan::scan(pictures, to),
            Codes::Qr { paths, to, light } => {
                let files = show::named(paths)?;
                let title = show::title(&files);
                match to {
                    Some(to) => show::pictures(&files, &title, to),
                    None => {
                        show::on_terminal(&files, &title, *light, &Asker::new(Mode::Production))
                    }
                }
            }
        }
    }
}

impl Common {
    pub(super) fn print_page(&self, side: Side, page: Page, look: Look) -> ExitCode {
        self.unguarded(side, Box::new(move |ceremony, _| print::print(ceremony, &page, look)))
    }
}
