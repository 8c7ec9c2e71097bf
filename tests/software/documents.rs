//! Pictures and documents.

use super::Software;
use crate::kit::EVERYONE;

/// A picture of 16 by 16 points in a format that is written by hand.
fn picture() -> Vec<u8> {
    let mut bytes = b"P6\n16 16\n255\n".to_vec();
    for point in 0..=255_u8 {
        bytes.extend([point, point.wrapping_mul(3), 255 - point]);
    }
    bytes
}

#[test]
fn imagemagick() {
    let profile = "extends: default\n\
        filesystem: { read: [/etc/ImageMagick-6, /usr/share/ImageMagick-6], write: [WORK] }";
    for user in EVERYONE {
        let software =
            Software::new(user, "/usr/bin/convert-im6.q16", profile).file("in.ppm", picture());
        let shrink = "in.ppm -resize 8x8 -rotate 90 -colorspace Gray -strip";
        for format in ["out.png", "out.jpg", "txt:-"] {
            let mut words: Vec<&str> = shrink.split(' ').collect();
            words.extend(["-define", "png:exclude-chunks=date,time", format]);
            software.alike(&words, "").succeeded();
        }
        assert!(software.read("out.png").starts_with(b"\x89PNG"));
        assert!(software.read("out.jpg").starts_with(b"\xff\xd8\xff"));
    }
}

/// One page with one line.
fn document() -> String {
    let line = "BT /F1 24 Tf 72 700 Td (Printed by nobody) Tj ET";
    let mut text = String::from("%PDF-1.4\n");
    let mut places = Vec::new();
    for object in [
        "<< /Type /Catalog /Pages 2 0 R >>".into(),
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>".into(),
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R \
         /Resources << /Font << /F1 5 0 R >> >> >>"
            .into(),
        format!("<< /Length {} >>\nstream\n{line}\nendstream", line.len()),
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>".into(),
    ] {
        places.push(text.len());
        text += &format!("{} 0 obj\n{object}\nendobj\n", places.len());
    }
    let start = text.len();
    text += "xref\n0 6\n0000000000 65535 f \n";
    for place in places {
        text += &format!("{place:010} 00000 n \n");
    }
    text + &format!("trailer\n<< /Size 6 /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n")
}

#[test]
fn pdftotext_on_its_streams() {
    for user in EVERYONE {
        let software = Software::new(user, "/usr/bin/pdftotext", "default");
        let outcome = software.alike(&["-", "-"], document()).succeeded();
        assert_eq!(outcome.stdout, "Printed by nobody\n\n\u{c}");
        assert_ne!(software.alike(&["-", "-"], "no document").status, 0);
    }
}

#[test]
fn qpdf() {
    let profile = "extends: default\nfilesystem: { write: [WORK] }";
    for user in EVERYONE {
        let software = Software::new(user, "/usr/bin/qpdf", profile).file("in.pdf", document());
        software
            .alike(
                &["--linearize", "--deterministic-id", "in.pdf", "out.pdf"],
                "",
            )
            .succeeded();
        let checked = software.alike(&["--check", "out.pdf"], "").succeeded();
        assert!(checked.stdout.contains("File is linearized"));
    }
}
