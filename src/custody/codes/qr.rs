//! A QR code (ISO/IEC 18004) of a frame: as SVG for paper, as half blocks for a terminal, as a
//! picture.

use std::io::Cursor;

use image::{GrayImage, ImageFormat, Luma};
use qrcode::render::unicode::Dense1x2;
use qrcode::{Color, EcLevel, QrCode, Version};

use record::{Error, Result};

/// The densest code: 97 modules a side, which a telephone reads from paper at arm's length.
const DENSEST: i16 = 20;
/// The light margin, in modules.
const QUIET: usize = 4;

/// A code, module by module.
pub struct Code(QrCode);

impl Code {
    /// The code of a frame, at level Q: a quarter of it may be lost.
    ///
    /// # Errors
    /// [`Error::Failed`] for more than version 20 carries.
    pub fn of(text: &str) -> Result<Self> {
        let code = QrCode::with_error_correction_level(text, EcLevel::Q)
            .map_err(|error| Error::defect(format!("a QR code: {error}")))?;
        match code.version() {
            Version::Normal(version) if version <= DENSEST => Ok(Code(code)),
            _ => Err(Error::defect("a QR code of another version")),
        }
    }

    /// Whether a module is dark; those of the margin are light.
    fn is_dark(&self, x: usize, y: usize) -> bool {
        let inside = |at: usize| at.checked_sub(QUIET).filter(|at| *at < self.0.width());
        inside(x).zip(inside(y)).is_some_and(|at| self.0[at] == Color::Dark)
    }

    /// The modules of a side, with the light margin.
    fn side(&self) -> usize {
        self.0.width() + 2 * QUIET
    }

    /// As an SVG element, one unit a module: a run of dark modules is one rectangle of a path.
    pub fn svg(&self) -> String {
        let side = self.side();
        let mut path = String::new();
        for y in 0..side {
            let mut x = 0;
            while x < side {
                let run = (x..side).take_while(|&x| self.is_dark(x, y)).count();
                if run > 0 {
                    // A little over into the next row: no seam is left between them where a printer
                    // draws each by itself.
                    path.push_str(&format!("M{x} {y}h{run}v1.05h-{run}z"));
                }
                x += run + 1;
            }
        }
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {side} {side}\" shape-rendering=\"crispEdges\"><rect width=\"{side}\" height=\"{side}\" fill=\"#fff\"/><path fill=\"#000\" d=\"{path}\"/></svg>"
        )
    }

    /// As half blocks, two modules a character; dark modules are drawn in the terminal's background
    /// where that is dark.
    pub fn terminal(&self, dark_background: bool) -> String {
        let (drawn, blank) = (Dense1x2::Dark, Dense1x2::Light);
        let (dark, light) = if dark_background { (blank, drawn) } else { (drawn, blank) };
        self.0.render().dark_color(dark).light_color(light).module_dimensions(1, 1).build()
    }

    /// As a PNG picture, 8 pixels a module.
    ///
    /// # Errors
    /// [`Error::Failed`] where it can't be encoded.
    pub fn png(&self) -> Result<Vec<u8>> {
        const SCALE: u32 = 8;
        let side = self.side() as u32 * SCALE;
        let picture = GrayImage::from_fn(side, side, |x, y| {
            let dark = self.is_dark((x / SCALE) as usize, (y / SCALE) as usize);
            Luma([if dark { 0 } else { 255 }])
        });
        let mut bytes = Cursor::new(Vec::new());
        picture
            .write_to(&mut bytes, ImageFormat::Png)
            .map_err(|error| Error::defect(format!("a picture: {error}")))?;
        Ok(bytes.into_inner())
    }
}
