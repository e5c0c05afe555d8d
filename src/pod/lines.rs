//! Bytes that a pod printed, made into lines.
//!
//! Owns the caps that bound lockproof's memory whatever a pod prints. Pure.

/// The longest line that is kept, in bytes; the rest of it is dropped with a note.
pub const LINE_CAP: usize = 64 * 1024;

/// How much of one stream is kept, in bytes, each line counted with [`LINE_COST`] on top; what
/// comes after it is read, so that the pod does not stall, and dropped.
pub const STREAM_CAP: usize = 32 * 1024 * 1024;

/// What a line costs beside its bytes.
const LINE_COST: usize = 96;

/// The lines of one stream.
#[derive(Debug, Default)]
pub struct Lines {
    partial: Vec<u8>,
    /// Whether the line being read is over its cap already.
    over: bool,
    kept: usize,
    closed: bool,
}

impl Lines {
    /// Takes bytes and gives the lines that they complete. Bytes that are no UTF-8 are replaced
    /// with U+FFFD; a carriage return before the line feed goes with it.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut lines = Vec::new();
        if self.closed {
            return lines;
        }
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (body, ends) = match piece.split_last() {
                Some((b'\n', body)) => (body, true),
                _ => (piece, false),
            };
            let room = LINE_CAP - self.partial.len();
            self.over |= body.len() > room;
            self.partial
                .extend_from_slice(&body[..body.len().min(room)]);
            if ends {
                lines.push(self.take());
                if self.kept > STREAM_CAP {
                    self.closed = true;
                    break;
                }
            }
        }
        lines
    }

    /// Whether no more is kept.
    pub const fn is_full(&self) -> bool {
        self.closed
    }

    /// The last line, if it has no line feed.
    pub fn finish(&mut self) -> Option<String> {
        (!self.partial.is_empty()).then(|| self.take())
    }

    fn take(&mut self) -> String {
        let body = self.partial.strip_suffix(b"\r").unwrap_or(&self.partial);
        let mut line = String::from_utf8_lossy(body).into_owned();
        if self.over {
            line.push_str(&format!(" [lockproof: line cut at {LINE_CAP} bytes]"));
        }
        self.over = false;
        self.partial.clear();
        // Replacement characters are longer than the bytes they stand for.
        self.kept += line.len() + LINE_COST;
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_line_ends_at_its_line_feed_and_not_at_the_end_of_a_read() {
        let mut lines = Lines::default();
        assert_eq!(lines.feed(b"on"), Vec::<String>::new());
        assert_eq!(lines.feed(b"e\r\n\ntwo\nth"), ["one", "", "two"]);
        assert_eq!(lines.finish().as_deref(), Some("th"));
        assert_eq!(lines.finish(), None);
    }

    #[test]
    fn bytes_that_are_no_utf8_are_replaced() {
        assert_eq!(
            Lines::default().feed(b"a\xff\xfeb\n"),
            ["a\u{fffd}\u{fffd}b"]
        );
    }

    #[test]
    fn a_line_is_cut_at_its_cap_and_the_next_one_is_whole() {
        let mut lines = Lines::default();
        let mut text = vec![b'x'; LINE_CAP * 3];
        text.extend_from_slice(b"\nshort\n");
        let got: Vec<String> = text
            .chunks(1000)
            .flat_map(|part| lines.feed(part))
            .collect();
        assert_eq!(got.len(), 2);
        assert!(got[0].starts_with(&"x".repeat(LINE_CAP)));
        assert!(got[0].ends_with("[lockproof: line cut at 65536 bytes]"));
        assert_eq!(got[1], "short");
    }

    #[test]
    fn a_line_of_exactly_the_cap_is_whole() {
        let text = [vec![b'x'; LINE_CAP], b"\n".to_vec()].concat();
        assert_eq!(Lines::default().feed(&text), ["x".repeat(LINE_CAP)]);
    }

    #[test]
    fn a_stream_without_end_is_kept_up_to_its_cap() {
        let mut lines = Lines::default();
        let chunk = b"y\n".repeat(32 * 1024);
        let mut count = 0;
        assert!(!lines.is_full());
        for _ in 0..100 {
            count += lines.feed(&chunk).len();
        }
        assert!(lines.is_full());
        assert!(count < STREAM_CAP / LINE_COST + 2, "{count}");
    }

    proptest! {
        #[test]
        fn how_the_bytes_arrive_does_not_matter(
            text in "[a-c\n]{0,200}",
            cut in 1_usize..20,
        ) {
            let mut lines = Lines::default();
            let mut got: Vec<String> =
                text.as_bytes().chunks(cut).flat_map(|part| lines.feed(part)).collect();
            got.extend(lines.finish());
            let want: Vec<&str> = text.split_terminator('\n').collect();
            prop_assert_eq!(got, want);
        }
    }
}
