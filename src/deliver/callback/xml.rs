//! The XML of callbacks: small documents whose elements are known by their names.

use std::collections::BTreeMap;

use quick_xml::Reader;
use quick_xml::events::Event;

use crate::base::Msg;
use crate::msg;

/// Deeper than any callback there is.
const MOST_DEPTH: usize = 16;

/// The texts of a document by the names of their elements, in their order.
pub fn fields(xml: &str) -> Result<BTreeMap<String, Vec<String>>, Msg> {
    let wrong = || {
        msg!(
            "the call is not XML as the platform writes it",
            "该调用不是平台格式的 XML"
        )
    };
    let mut reader = Reader::from_str(xml);
    let (mut open, mut fields): (Vec<String>, BTreeMap<String, Vec<String>>) = Default::default();
    let mut put = |open: &[String], text: &str| {
        if let Some(name) = open.last().filter(|_| !text.trim().is_empty()) {
            fields
                .entry(name.clone())
                .or_default()
                .push(text.trim().to_owned());
        }
    };
    loop {
        match reader.read_event().map_err(|_| wrong())? {
            Event::Start(start) if open.len() < MOST_DEPTH => {
                open.push(start.name().as_ref().to_owned())
            }
            // A document type is how a reader is made to read what it should not.
            Event::Start(_) | Event::DocType(_) => return Err(wrong()),
            Event::End(_) => drop(open.pop()),
            Event::Text(text) => put(&open, &text),
            Event::CData(text) => put(&open, &text),
            Event::Eof if open.is_empty() => return Ok(fields),
            Event::Eof => return Err(wrong()),
            Event::Empty(_)
            | Event::Comment(_)
            | Event::Decl(_)
            | Event::PI(_)
            | Event::GeneralRef(_) => {}
        }
    }
}
