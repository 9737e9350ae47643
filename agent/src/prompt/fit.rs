//! How much text makes a requested number of tokens.
//!
//! No tokenizer is needed: the engine reports how many tokens a prompt has, including its chat
//! template. All texts begin at the same position in the book, regardless of case, repetition and
//! host. Prose varies: if cut from different positions, short prompts of one length would differ by
//! more than the guaranteed 2 %.

use std::collections::HashMap;

use regatta_types::suite::TextPrompt;

use super::text;

/// A text that deviates by more than this does not have the requested length.
const WITHIN: f64 = 0.02;
/// Near enough, as a share of the length; one token always is.
const NEAR: f64 = 0.005;
/// Most prompts sent for one length.
const COUNTS: usize = 4;
/// Of English prose, until the engine has counted some; and tokens around it.
const BYTES_PER_TOKEN: f64 = 4.3;
const AROUND: f64 = 12.0;
/// A salt of about this many tokens separates the shared beginning from the rest.
const SALT: u32 = 7;

/// A text of a requested length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fitted {
    /// The beginning that all requests of an attempt share; empty if nothing is shared.
    pub shared: &'static str,
    /// The rest.
    pub own: &'static str,
}

/// Why a prompt's tokens could not be counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Uncounted {
    /// This prompt is refused; a shorter one may do. With what was said.
    Refused(String),
    /// Nothing can be counted; a sentence.
    Never(String),
}

/// Fits every text of `asked`, or says in a sentence why there is none of that length. `count` says
/// how many tokens a prompt has; it is asked at most four times for a length, mostly once or twice.
pub async fn fit(
    asked: &[TextPrompt],
    count: impl AsyncFnMut(Fitted) -> Result<u32, Uncounted>,
) -> HashMap<TextPrompt, Result<Fitted, String>> {
    let mut fitting = Fitting { count, ruler: Ruler::default(), found: HashMap::new() };
    let mut order = asked.to_vec();
    // The longest shows best how many tokens the text makes.
    order.sort_by_key(|asked| std::cmp::Reverse((asked.tokens, asked.shared)));
    let mut never = None;
    for asked in order {
        let fitted = match &never {
            Some(why) => Err(Uncounted::Never(String::clone(why))),
            None => fitting.one(asked).await,
        };
        let fitted = fitted.map_err(|uncounted| match uncounted {
            Uncounted::Refused(why) => why,
            Uncounted::Never(why) => never.insert(why).clone(),
        });
        fitting.found.insert(asked, fitted);
    }
    fitting.found.retain(|found, _| asked.contains(found));
    fitting.found
}

struct Fitting<C> {
    count: C,
    ruler: Ruler,
    found: HashMap<TextPrompt, Result<Fitted, String>>,
}

impl<C: AsyncFnMut(Fitted) -> Result<u32, Uncounted>> Fitting<C> {
    async fn one(&mut self, asked: TextPrompt) -> Result<Fitted, Uncounted> {
        let TextPrompt { tokens, shared } = asked;
        if shared == 0 {
            return self.search(tokens, "").await;
        }
        let beginning = TextPrompt { tokens: shared, shared: 0 };
        let beginning = match self.found.get(&beginning) {
            Some(found) => found.clone().map_err(Uncounted::Refused)?,
            None => {
                let fitted = self.search(shared, "").await?;
                self.found.insert(beginning, Ok(fitted));
                fitted
            }
        };
        self.search(tokens, beginning.own).await
    }

    /// A text of this many tokens, whose beginning is `shared`, if that is not empty.
    async fn search(&mut self, tokens: u32, shared: &'static str) -> Result<Fitted, Uncounted> {
        let wanted = f64::from(tokens);
        let salt = if shared.is_empty() { 0 } else { SALT };
        let mut end = self.ruler.bytes(f64::from(tokens.saturating_sub(salt)));
        let mut nearest: Option<(u32, Fitted)> = None;
        for _ in 0..COUNTS {
            let own = text::between(shared.len(), end);
            let fitted = Fitted { shared, own };
            if nearest.is_some_and(|(_, before)| before == fitted) {
                break;
            }
            let counted = (self.count)(fitted).await?;
            if shared.is_empty() {
                self.ruler.learn(counted, own.len());
            }
            if nearest.is_none_or(|(n, _)| counted.abs_diff(tokens) < n.abs_diff(tokens)) {
                nearest = Some((counted, fitted));
            }
            let off = f64::from(counted) - wanted;
            if off.abs() <= (wanted * NEAR).max(1.0) {
                break;
            }
            // Half a word more, as texts are cut before the word that does not fit.
            let right = end as f64 - off * self.ruler.per_token() + 2.5;
            end = whole(right);
        }
        match nearest {
            Some((counted, fitted))
                if (f64::from(counted) - wanted).abs() <= (wanted * WITHIN).max(1.0) =>
            {
                Ok(fitted)
            }
            Some((counted, fitted)) => Err(misfit(tokens, counted, fitted)),
            None => Err(misfit(tokens, 0, Fitted { shared, own: "" })),
        }
    }
}

fn misfit(tokens: u32, counted: u32, nearest: Fitted) -> Uncounted {
    let is_all = nearest.shared.len() + nearest.own.len() + 2 >= text::LENGTH;
    Uncounted::Refused(if is_all && counted < tokens {
        format!(
            "the text is too short for {tokens} tokens: the engine counts {counted} in all of \
            it"
        )
    } else {
        format!(
            "no prompt has exactly {tokens} tokens: the engine counts the nearest one as \
             {counted}"
        )
    })
}

/// Tokens against bytes, as far as the engine has counted.
#[derive(Debug, Default)]
struct Ruler {
    /// Ascending.
    marks: Vec<(f64, f64)>,
}

impl Ruler {
    fn learn(&mut self, tokens: u32, bytes: usize) {
        let mark = (f64::from(tokens), bytes as f64);
        let at = self.marks.partition_point(|(tokens, _)| *tokens < mark.0);
        self.marks.insert(at, mark);
    }

    /// Bytes of one more token.
    fn per_token(&self) -> f64 {
        match self.marks.last() {
            // A short text says more of what is around it.
            Some((tokens, bytes)) if *tokens > 5.0 * AROUND => bytes / (tokens - AROUND),
            Some(_) | None => BYTES_PER_TOKEN,
        }
    }

    /// The text that should make this many tokens: between two marks, on the line through both.
    fn bytes(&self, tokens: f64) -> usize {
        let after = self.marks.partition_point(|mark| mark.0 < tokens);
        let below =
            after.checked_sub(1).and_then(|at| self.marks.get(at)).unwrap_or(&(AROUND, 0.0));
        let slope = match self.marks.get(after) {
            Some(above) if above.0 > below.0 => (above.1 - below.1) / (above.0 - below.0),
            Some(_) | None => self.per_token(),
        };
        whole(below.1 + (tokens - below.0) * slope)
    }
}

/// A number of bytes in the text.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "within the text by the clamp"
)]
fn whole(bytes: f64) -> usize {
    bytes.clamp(0.0, text::LENGTH as f64) as usize
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// Counts as engines do: a template, salts, and words in pieces of up to `piece` letters.
    fn tokens(fitted: Fitted, piece: usize) -> u32 {
        let words = |text: &str| -> usize {
            text.split_whitespace().map(|word| word.chars().count().div_ceil(piece)).sum()
        };
        let around = if fitted.shared.is_empty() { 31 } else { 40 };
        u32::try_from(around + words(fitted.shared) + words(fitted.own)).unwrap()
    }

    fn asked(tokens: u32, shared: u32) -> TextPrompt {
        TextPrompt { tokens, shared }
    }

    #[tokio::test]
    async fn a_grid_of_prompts_needs_few_counts_for_any_tokenizer() {
        let lengths = [64, 128, 512, 1_500, 2_048, 8_192, 32_768, 100_000];
        let grid: Vec<_> = lengths.iter().map(|&tokens| asked(tokens, 0)).collect();
        for piece in [2, 3, 4, 5, 8] {
            let counts = Cell::new(0);
            let found = fit(&grid, async |fitted| {
                counts.set(counts.get() + 1);
                Ok(tokens(fitted, piece))
            })
            .await;
            for text in &grid {
                let made = f64::from(tokens(found[text].clone().unwrap(), piece));
                let off = (made / f64::from(text.tokens) - 1.0).abs();
                assert!(off <= 0.016, "{piece}: {} came out as {made}", text.tokens);
            }
            assert!(counts.get() <= 22, "{piece}: {} counts", counts.get());
        }
    }

    #[tokio::test]
    async fn a_shared_prefix_has_its_length_and_counts_toward_the_prompt() {
        let both = [asked(1_024, 768), asked(1_024, 0)];
        let found = fit(&both, async |fitted| Ok(tokens(fitted, 4))).await;
        assert_eq!(found.len(), 2);
        let Fitted { shared, own } = found[&both[0]].clone().unwrap();
        let alone = tokens(Fitted { shared: "", own: shared }, 4);
        assert!(alone.abs_diff(768) <= 4, "{alone}");
        assert!(tokens(Fitted { shared, own }, 4).abs_diff(1_024) <= 6);
        let whole = found[&both[1]].clone().unwrap();
        assert_eq!(whole.shared, "");
        assert!(whole.own.starts_with(shared) && !own.starts_with(shared));
    }

    #[tokio::test]
    async fn a_refused_length_keeps_the_shorter_prompts() {
        let all = [asked(128, 0), asked(9_000, 0)];
        let found = fit(&all, async |fitted| match tokens(fitted, 4) {
            n if n > 4_096 => Err(Uncounted::Refused(format!("no room for {n}"))),
            n => Ok(n),
        })
        .await;
        assert!(found[&all[1]].clone().unwrap_err().starts_with("no room for"));
        assert!(found[&all[0]].is_ok());
    }

    #[tokio::test]
    async fn an_engine_without_counts_gets_one_request() {
        let all = [asked(128, 0), asked(9_000, 0), asked(256, 64)];
        let counts = Cell::new(0);
        let found = fit(&all, async |_| {
            counts.set(counts.get() + 1);
            Err(Uncounted::Never("it does not count".to_owned()))
        })
        .await;
        assert_eq!(counts.get(), 1);
        assert!(all.iter().all(|text| found[text].clone() == Err("it does not count".to_owned())));
    }

    #[tokio::test]
    async fn truncated_prompts_and_unreachable_lengths_are_errors() {
        let found = fit(&[asked(9_000, 0)], async |f| Ok(tokens(f, 4).min(2_048))).await;
        let said = found[&asked(9_000, 0)].clone().unwrap_err();
        assert!(
            said.starts_with("no prompt has exactly 9000 tokens") && said.ends_with("2048"),
            "{said}"
        );
        let found = fit(&[asked(16, 0)], async |f| Ok(tokens(f, 4))).await;
        let said = found[&asked(16, 0)].clone().unwrap_err();
        assert!(said.ends_with("the engine counts the nearest one as 33"), "{said}");
        let found = fit(&[asked(4_000_000, 0)], async |f| Ok(tokens(f, 4))).await;
        let said = found[&asked(4_000_000, 0)].clone().unwrap_err();
        assert!(said.starts_with("the text is too short for 4000000 tokens"), "{said}");
    }
}
