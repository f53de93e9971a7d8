//! How a campaign's messages will look: each way to send, with the longest variant, one with
//! defaults, and one with missing values.
//!
//! Nothing is decided here: no gate, no cap, no channel's limit. `plan` shows those.

use std::fmt::Write as _;
use std::sync::Arc;

use serde_json::{Value, json};
use unicode_width::UnicodeWidthStr;

use super::eval_data::EvalData;
use super::{Failure, Project};
use crate::base::Lang;
use crate::base::{Bitmap, CampaignId, UserNo};
use crate::decide::decision::Rendered;
use crate::decide::render::{part_name, render, with_defaults};
use crate::program::platform::{self, LimitOf, MessagePart, Shape, Unit};
use crate::program::typed::{Action, Campaign, Piece, Send, Template, Via};

/// How wide a bubble is on a terminal, in columns.
const WIDTH: usize = 40;

pub struct Preview {
    pub campaign: String,
    pub title: Option<String>,
    pub ways: Vec<PreviewPath>,
}

/// One way in which the campaign sends: an arm, a branch, a follow-up.
pub struct PreviewPath {
    /// The follow-up's name; `None` for the first message.
    pub step: Option<String>,
    pub arm: Option<String>,
    pub template: String,
    pub channels: Vec<String>,
    /// The form that the message takes on the first channel.
    shape: Option<&'static Shape>,
    pub bubbles: Vec<Bubble>,
}

pub struct Bubble {
    pub kind: BubbleKind,
    pub message: Arc<Rendered>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BubbleKind {
    /// Of the user who was asked for.
    User,
    Longest,
    /// A default stands for a missing value.
    Default,
    /// A value is missing: its hole is shown, and the message would not be sent.
    Missing,
}

/// The messages of a campaign, for one user or as they vary over its audience.
///
/// # Errors
/// Those of evaluation.
pub fn preview(
    project: &Project,
    data: &EvalData,
    campaign: CampaignId,
    user: Option<UserNo>,
) -> Result<Preview, Failure> {
    let program = &project.program;
    let campaign = program.campaign(campaign);
    let everyone = data.snapshot.user_count();
    let users = match user {
        Some(user) => Bitmap::from_users(everyone, [user]),
        None => {
            let audience = data.audience(program, &campaign.when)?.yes;
            // An audience that is empty today still has a message.
            if audience.is_empty() {
                Bitmap::all(everyone)
            } else {
                audience
            }
        }
    };
    let mut ways = Vec::new();
    for (step, arm, send) in sends(campaign) {
        let via = send.via.as_ref().unwrap_or(&campaign.via);
        ways.push(way(
            project,
            data,
            (step, arm),
            send,
            via,
            &users,
            user.is_some(),
        )?);
    }
    Ok(Preview {
        campaign: campaign.declared.name.clone(),
        title: campaign.title.clone(),
        ways,
    })
}

/// Every way to send, in the order of the text: the follow-up, the arm, the clause.
pub fn sends(campaign: &Campaign) -> Vec<(Option<String>, Option<String>, &Send)> {
    fn of<'a>(
        action: &'a Action,
        step: Option<&str>,
        arm: Option<&str>,
        out: &mut Vec<(Option<String>, Option<String>, &'a Send)>,
    ) {
        match action {
            Action::Nothing => {}
            Action::Send(send) => {
                out.push((step.map(str::to_string), arm.map(str::to_string), send))
            }
            Action::Split(arms) => arms
                .iter()
                .for_each(|a| of(&a.action, step, Some(&a.name), out)),
            Action::Choose(arms) => arms.iter().for_each(|a| of(&a.action, step, arm, out)),
        }
    }
    let mut out = Vec::new();
    of(&campaign.action, None, None, &mut out);
    for step in &campaign.steps {
        of(&step.action, Some(&step.name), None, &mut out);
        if let Some(otherwise) = &step.otherwise {
            of(otherwise, Some(&step.name), None, &mut out);
        }
    }
    out
}

fn way(
    project: &Project,
    data: &EvalData,
    (step, arm): (Option<String>, Option<String>),
    send: &Send,
    via: &Via,
    users: &Bitmap,
    one: bool,
) -> Result<PreviewPath, Failure> {
    let program = &project.program;
    let template = program.template(send.template);
    let scope = data.scope(program);
    let texts = render(&scope, send.template, users).map_err(Failure::from)?;
    let mut bubbles = Vec::new();
    if one {
        if let Some(message) = texts.all.first() {
            bubbles.push(Bubble {
                kind: BubbleKind::User,
                message: message.clone(),
            });
        }
    } else {
        let length = |m: &Rendered| {
            m.parts
                .iter()
                .map(|(_, text)| text.chars().count())
                .sum::<usize>()
        };
        // Of equally long ones the first by its text, so that the same data shows the same preview.
        let longest = texts.all.iter().min_by(|a, b| {
            length(b)
                .cmp(&length(a))
                .then_with(|| a.parts.cmp(&b.parts))
        });
        bubbles.extend(longest.map(|m| Bubble {
            kind: BubbleKind::Longest,
            message: m.clone(),
        }));
        let defaults = with_defaults(&scope, send.template, users).map_err(Failure::from)?;
        let of = |place: usize| {
            texts
                .of
                .get(place)
                .copied()
                .flatten()
                .and_then(|n| texts.all.get(n as usize))
        };
        let default = users
            .iter()
            .enumerate()
            .find(|(place, user)| defaults.contains(*user) && of(*place).is_some());
        if let Some(message) = default
            .and_then(|(place, _)| of(place))
            .filter(|m| bubbles.iter().all(|b| b.message != **m))
        {
            bubbles.push(Bubble {
                kind: BubbleKind::Default,
                message: message.clone(),
            });
        }
    }
    if texts.of.iter().any(Option::is_none) || texts.of.is_empty() {
        bubbles.push(Bubble {
            kind: BubbleKind::Missing,
            message: Arc::new(with_holes(project, template)),
        });
    }
    let first = via.routes.first().map(|r| &r.channel);
    Ok(PreviewPath {
        step,
        arm,
        template: template.declared.name.clone(),
        channels: via.routes.iter().map(|r| r.channel.to_string()).collect(),
        shape: first.and_then(|c| shape(template, &c.platform, &c.endpoint)),
        bubbles,
    })
}

/// The message with its holes as the script writes them.
pub fn with_holes(project: &Project, template: &Template) -> Rendered {
    let text = |piece: &Piece| match piece {
        Piece::Text(text) => text.to_string(),
        Piece::Hole(hole) => format!("{{{}}}", project.sources.slice(hole.span)),
    };
    let parts = template
        .parts
        .iter()
        .map(|p| (part_name(&p.kind), p.text.pieces.iter().map(text).collect()));
    Rendered {
        parts: parts.collect(),
    }
}

fn shape(template: &Template, platform: &str, endpoint: &str) -> Option<&'static Shape> {
    let parts: Vec<MessagePart> = template
        .parts
        .iter()
        .map(|p| MessagePart::of(&p.kind))
        .collect();
    platform::endpoint(platform, endpoint)?.shape_for(&parts)
}

impl BubbleKind {
    fn words(self, lang: Lang) -> &'static str {
        let (en, zh) = match self {
            BubbleKind::User => ("this user's", "该用户的消息"),
            BubbleKind::Longest => ("the longest", "最长"),
            BubbleKind::Default => ("with a default", "含默认值"),
            BubbleKind::Missing => (
                "with a value missing: it would not be sent",
                "有值缺失：不会发送",
            ),
        };
        if lang == Lang::Zh { zh } else { en }
    }

    fn name(self) -> &'static str {
        match self {
            BubbleKind::User => "user",
            BubbleKind::Longest => "longest",
            BubbleKind::Default => "default",
            BubbleKind::Missing => "missing",
        }
    }
}

impl PreviewPath {
    /// `after1 · arm a · template hello · service_account.mass (article)`
    fn head(&self, lang: Lang) -> String {
        let word = |en: &'static str, zh: &'static str| if lang == Lang::Zh { zh } else { en };
        let mut parts = Vec::new();
        parts.extend(self.step.clone());
        parts.extend(
            self.arm
                .as_ref()
                .map(|arm| format!("{} {arm}", word("arm", "分组"))),
        );
        parts.push(format!("{} {}", word("template", "模板"), self.template));
        let shape = self
            .shape
            .map_or(String::new(), |s| format!(" ({})", s.title.get(lang)));
        parts.push(format!("{}{shape}", self.channels.join(", ")));
        parts.join(" · ")
    }

    /// How long the parts with a limit are: what, length, most, unit.
    fn lengths(&self, message: &Rendered) -> Vec<(LimitOf, u64, u32, Unit)> {
        let Some(shape) = self.shape else {
            return Vec::new();
        };
        let text = |of: LimitOf| -> String {
            let wanted = |name: &str| match of {
                LimitOf::Title => name == "title",
                LimitOf::Fields => name.starts_with("field "),
                LimitOf::Text => shape.joined.iter().any(|p| p.name() == name),
            };
            let texts = message
                .parts
                .iter()
                .filter(|(name, _)| wanted(name))
                .map(|(_, text)| text.as_str());
            texts
                .collect::<Vec<_>>()
                .join(if of == LimitOf::Fields { "" } else { "\n" })
        };
        shape
            .limits
            .iter()
            .map(|l| (l.of, l.unit.of(&text(l.of)), l.max, l.unit))
            .filter(|(_, n, ..)| *n > 0)
            .collect()
    }

    fn length_lines(&self, message: &Rendered, lang: Lang) -> Vec<String> {
        let zh = lang == Lang::Zh;
        let lengths = self.lengths(message).into_iter().map(|(of, n, max, unit)| {
            let (en_of, zh_of) = match of {
                LimitOf::Title => ("title", "标题"),
                LimitOf::Text => ("text", "正文"),
                LimitOf::Fields => ("fields", "字段"),
            };
            let (en_unit, zh_unit) = match unit {
                Unit::Chars => ("characters", "个字符"),
                Unit::Bytes => ("bytes", "字节"),
            };
            if zh {
                format!("{zh_of} {n}/{max} {zh_unit}")
            } else {
                format!("{en_of} {n} of {max} {en_unit}")
            }
        });
        lengths.collect()
    }
}

impl Preview {
    pub fn show(&self, lang: Lang) -> String {
        let mut out = format!(
            "{}{}\n",
            self.campaign,
            self.title
                .as_ref()
                .map_or(String::new(), |t| format!("  {t}"))
        );
        for way in &self.ways {
            let _ = writeln!(out, "\n{}", way.head(lang));
            for bubble in &way.bubbles {
                let _ = writeln!(out, "  {}", bubble.kind.words(lang));
                boxed(&bubble.message, &mut out);
                for line in way.length_lines(&bubble.message, lang) {
                    let _ = writeln!(out, "  {line}");
                }
            }
        }
        out
    }

    pub fn json(&self) -> Value {
        let bubble = |b: &Bubble| {
            let parts: serde_json::Map<String, Value> = b
                .message
                .parts
                .iter()
                .map(|(n, t)| (n.clone(), t.as_str().into()))
                .collect();
            json!({"kind": b.kind.name(), "parts": parts})
        };
        let way = |w: &PreviewPath| {
            let bubbles: Vec<Value> = w.bubbles.iter().map(bubble).collect();
            let shape = w.shape.map(|s| s.name.as_str());
            json!({"step": w.step, "arm": w.arm, "template": w.template, "channels": w.channels, "shape": shape, "messages": bubbles})
        };
        json!({"campaign": self.campaign, "title": self.title, "ways": self.ways.iter().map(way).collect::<Vec<_>>()})
    }

    /// A page without scripts and without anything from elsewhere.
    pub fn html(&self, lang: Lang) -> String {
        let title = self.title.as_deref().unwrap_or(&self.campaign);
        let code = if lang == Lang::Zh { "zh" } else { "en" };
        let mut out = format!(
            "<!doctype html>\n<html lang=\"{code}\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n\
             <title>{0}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<h1>{0}</h1>\n",
            escape(title)
        );
        for way in &self.ways {
            let _ = writeln!(
                out,
                "<section>\n<h2>{}</h2>\n<div class=\"phones\">",
                escape(&way.head(lang))
            );
            for bubble in &way.bubbles {
                let _ = writeln!(
                    out,
                    "<figure>\n<div class=\"phone\"><div class=\"bubble {}\">",
                    bubble.kind.name()
                );
                for (name, text) in &bubble.message.parts {
                    let (class, label) = name.split_once(' ').unwrap_or((name, ""));
                    let label = if label.is_empty() {
                        String::new()
                    } else {
                        format!("<b>{}</b> ", escape(label))
                    };
                    let lines: Vec<String> = text.lines().map(escape).collect();
                    let _ = writeln!(
                        out,
                        "<p class=\"{}\">{label}{}</p>",
                        escape(class),
                        lines.join("<br>")
                    );
                }
                let _ = write!(
                    out,
                    "</div></div>\n<figcaption>{}",
                    escape(bubble.kind.words(lang))
                );
                for line in way.length_lines(&bubble.message, lang) {
                    let _ = write!(out, "<br>{}", escape(&line));
                }
                out.push_str("</figcaption>\n</figure>\n");
            }
            out.push_str("</div>\n</section>\n");
        }
        out.push_str("</body>\n</html>\n");
        out
    }
}

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;margin:2rem;color:#222}h2{font-size:1rem;font-weight:600}\
.phones{display:flex;flex-wrap:wrap;gap:1.5rem}figure{margin:0;width:18rem}\
.phone{border:1px solid #bbb;border-radius:1.5rem;background:#ededed;padding:1.5rem 1rem;min-height:10rem}\
.bubble{background:#fff;border-radius:.6rem;padding:.6rem .8rem;overflow-wrap:anywhere}.bubble.missing{outline:2px dashed #c60}\
.bubble p{margin:.2rem 0}.title{font-weight:600}.link,.miniprogram{color:#576b95}.image,.video,.platform{color:#888;font-size:.85rem}\
.unsubscribe{color:#888;font-size:.85rem}figcaption{color:#555;font-size:.85rem;margin-top:.5rem}";

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// A message in a frame; the parts that stand alone on a phone carry their names.
fn boxed(message: &Rendered, out: &mut String) {
    let bar = "─".repeat(WIDTH + 2);
    let _ = writeln!(out, "  ┌{bar}┐");
    for (name, text) in &message.parts {
        let text = match name.as_str() {
            "title" | "body" | "entry" | "unsubscribe" => text.clone(),
            other => format!("{}: {text}", other.strip_prefix("field ").unwrap_or(other)),
        };
        for line in text.lines().flat_map(wrapped) {
            let pad = WIDTH.saturating_sub(line.width());
            let _ = writeln!(out, "  │ {line}{} │", " ".repeat(pad));
        }
    }
    let _ = writeln!(out, "  └{bar}┘");
}

/// A line in pieces that fit the frame.
fn wrapped(line: &str) -> Vec<String> {
    let (mut lines, mut current) = (Vec::new(), String::new());
    for c in line.chars().filter(|c| !c.is_control()) {
        current.push(c);
        if current.width() > WIDTH {
            current.pop();
            lines.push(std::mem::replace(&mut current, c.to_string()));
        }
    }
    lines.push(current);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_keeps_its_width() {
        let message = Rendered {
            parts: vec![
                ("title".into(), "双十一".into()),
                ("body".into(), "很长".repeat(30)),
                ("link".into(), "https://a".into()),
            ],
        };
        let mut out = String::new();
        boxed(&message, &mut out);
        let widths: Vec<usize> = out.lines().map(UnicodeWidthStr::width).collect();
        assert!(widths.iter().all(|w| *w == WIDTH + 6), "{out}");
        assert_eq!(widths.len(), 2 + 1 + 3 + 1);
    }

    #[test]
    fn nothing_in_a_message_becomes_markup() {
        assert_eq!(
            escape("<a href='x'>\"&"),
            "&lt;a href=&#39;x&#39;&gt;&quot;&amp;"
        );
    }
}
