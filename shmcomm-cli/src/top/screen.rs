//! `shmcomm top` on a terminal with keys: a table with a selected row, and the rate of that channel over time.
//!
//! Owns the state of the screen, the keys and the picture. Calls `list` for the facts, and ratatui. Never opens an
//! end of a channel, and gives the terminal back however the command ends.

use super::{Arguments, Sort, sort, summary};
use crate::common::Common;
use crate::failure::{Failure, Outcome};
use crate::figures::Figures;
use crate::list::{self, REFRESH};
use crate::out::{Form, Out};
use crate::pace::{self, Pace};
use crate::rates::Rates;
use crate::tone::Tone;
use crate::units;
use clap::ValueEnum as _;
use ratatui::Frame;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Sparkline};
use std::collections::{HashMap, VecDeque};
use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

/// Longest wait for a key before the end of the command is checked.
const SLICE: Duration = Duration::from_millis(50);
/// Number of readings of a rate that are kept for each channel.
const HISTORY: usize = 600;
/// Lines of the curve.
const CURVE: u16 = 4;
/// Smallest height at which the curve is shown, in lines.
const TALL: u16 = 16;

/// Returns `true` if the output is a terminal that can show a screen, and keys can be read.
pub fn serves(out: &Out) -> bool {
    let dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
    out.form() == Form::Terminal && !dumb && std::io::stdin().is_terminal()
}

/// Gives the terminal back when it is dropped.
struct Restore;

impl Drop for Restore {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

/// Shows the screen until a key, a signal, `-n` or `--duration` ends it.
pub fn run(common: &Common, args: &Arguments) -> Outcome {
    let colour = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let mut pace = Pace::new(common);
    let mut rates = Rates::default();
    let mut screen = Screen::new(args.sort, colour);
    // A wrong name is an error before the screen is taken.
    screen.update(list::collect(common, &args.channels, Some(&mut rates))?);
    let mut terminal = ratatui::try_init()?;
    let _restore = Restore;
    let mut next = Instant::now() + REFRESH;
    loop {
        terminal.draw(|frame| screen.draw(frame))?;
        loop {
            if pace.is_over() {
                return Ok(());
            }
            let left = next.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            if event::poll(pace.at_most(left.min(SLICE)))? {
                match event::read()? {
                    Event::Key(key) if screen.key(key) => return Ok(()),
                    _ => terminal.draw(|frame| screen.draw(frame))?,
                };
            }
        }
        next = Instant::now() + REFRESH;
        if !screen.paused {
            screen.update(match list::collect(common, &args.channels, Some(&mut rates)) {
                // A channel that has gone may appear again.
                Err(Failure::NotFound(_)) => Vec::new(),
                other => other?,
            });
            if !pace.another() {
                terminal.draw(|frame| screen.draw(frame))?;
                return Ok(());
            }
        }
        if pace::stopped() {
            return Ok(());
        }
    }
}

/// State of the screen.
struct Screen {
    figures: Vec<Figures>,
    sort: Sort,
    /// Name of the selected channel: it stays selected when the order changes.
    selected: Option<String>,
    /// First row that is shown.
    first: usize,
    paused: bool,
    colour: bool,
    /// Rates of each channel, in messages per second, the newest last.
    history: HashMap<String, VecDeque<u64>>,
}

impl Screen {
    fn new(sort: Sort, colour: bool) -> Self {
        Screen {
            figures: Vec::new(),
            sort,
            selected: None,
            first: 0,
            paused: false,
            colour,
            history: HashMap::new(),
        }
    }

    /// Takes new facts.
    fn update(&mut self, figures: Vec<Figures>) {
        self.history.retain(|path, _| figures.iter().any(|one| one.path == *path));
        for one in &figures {
            let rates = self.history.entry(one.path.clone()).or_default();
            // The average since the senders joined is no reading.
            if let (Some(rate), Some(_)) = (one.rate, one.rate_window_s) {
                rates.push_back(rate as u64);
            }
            if rates.len() > HISTORY {
                rates.pop_front();
            }
        }
        self.figures = figures;
        sort(&mut self.figures, self.sort);
    }

    /// Returns the row of the selected channel: the first one if none is selected.
    fn row(&self) -> usize {
        let name = self.selected.as_deref();
        self.figures.iter().position(|one| Some(one.channel.as_str()) == name).unwrap_or(0)
    }

    fn select(&mut self, row: usize) {
        let row = row.min(self.figures.len().saturating_sub(1));
        self.selected = self.figures.get(row).map(|one| one.channel.clone());
    }

    /// Handles a key. Returns `true` if it ends the command.
    fn key(&mut self, key: KeyEvent) -> bool {
        if key.kind == KeyEventKind::Release {
            return false;
        }
        let row = self.row();
        match key.code {
            KeyCode::Char('q') | KeyCode::Esc => return true,
            KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => return true,
            KeyCode::Char('p') => self.paused = !self.paused,
            KeyCode::Char('s') => {
                let all = Sort::value_variants();
                let at = all.iter().position(|sort| *sort == self.sort).unwrap_or(0);
                self.sort = all[(at + 1) % all.len()];
                sort(&mut self.figures, self.sort);
            }
            KeyCode::Up | KeyCode::Char('k') => self.select(row.saturating_sub(1)),
            KeyCode::Down | KeyCode::Char('j') => self.select(row + 1),
            KeyCode::Home => self.select(0),
            KeyCode::End => self.select(usize::MAX),
            _ => {}
        }
        false
    }

    fn draw(&mut self, frame: &mut Frame<'_>) {
        let area = frame.area();
        let curve = if area.height >= TALL && !self.figures.is_empty() { CURVE + 1 } else { 0 };
        let parts =
            [Constraint::Length(1), Constraint::Min(1), Constraint::Length(curve), Constraint::Length(1)];
        let [top, table, below, keys] = Layout::vertical(parts).areas(area);
        let width = usize::from(area.width);
        let summary = crate::table::cut(&summary(&self.figures), width);
        frame.render_widget(Paragraph::new(summary).style(self.style(Tone::Faint)), top);
        frame.render_widget(Paragraph::new(self.rows(width, usize::from(table.height))), table);
        let order = self.sort.to_possible_value().map_or_else(String::new, |sort| sort.get_name().to_owned());
        let state = if self.paused { "paused, p goes on" } else { "p pause" };
        let text = format!("q quit  s order: {order}  {state}  ↑↓ select");
        frame.render_widget(
            Paragraph::new(crate::table::cut(&text, width)).style(self.style(Tone::Faint)),
            keys,
        );
        if let (Some(one), true) = (self.figures.get(self.row()), curve > 0) {
            let rates = self.history.get(&one.path);
            let newest = rates.into_iter().flatten().rev().take(width).copied().collect::<Vec<_>>();
            let most = newest.iter().max().copied().unwrap_or(0);
            let title = format!("{}   at most {}", one.channel, units::rate(most as f64));
            let [title_at, curve_at] =
                Layout::vertical([Constraint::Length(1), Constraint::Length(CURVE)]).areas(below);
            frame.render_widget(Paragraph::new(crate::table::cut(&title, width)), title_at);
            // The newest reading stands at the right.
            let data: Vec<u64> =
                std::iter::repeat_n(0, width - newest.len()).chain(newest.into_iter().rev()).collect();
            frame.render_widget(Sparkline::default().data(data).style(self.style(Tone::Good)), curve_at);
        }
    }

    /// Returns the headings and the rows that fit into the height, with the selected one among them.
    fn rows(&mut self, width: usize, height: usize) -> Vec<Line<'static>> {
        let rows = list::table(&self.figures).fit(width);
        let room = height.saturating_sub(1).max(1);
        let selected = self.row();
        self.first = self.first.clamp((selected + 1).saturating_sub(room), selected);
        let mut lines = Vec::new();
        for (index, row) in rows.into_iter().enumerate() {
            // Row 0 has the headings.
            let shown = index == 0 || (self.first + 1..=self.first + room).contains(&index);
            if !shown {
                continue;
            }
            let spans = row.into_iter().flat_map(|piece| {
                [Span::styled(piece.text, self.style(piece.tone)), Span::raw(" ".repeat(piece.after))]
            });
            let line = Line::from(spans.collect::<Vec<_>>());
            lines.push(match index == selected + 1 {
                true => line.style(Style::new().add_modifier(Modifier::REVERSED)),
                false => line,
            });
        }
        lines
    }

    fn style(&self, tone: Tone) -> Style {
        let style = Style::new();
        let colour = |colour| if self.colour { style.fg(colour) } else { style };
        match tone {
            Tone::Plain => style,
            Tone::Heading => style.add_modifier(Modifier::BOLD),
            Tone::Good => colour(Color::Green),
            Tone::Warning => colour(Color::Yellow),
            Tone::Bad => colour(Color::Red),
            Tone::Faint => style.add_modifier(Modifier::DIM),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    fn example() -> Figures {
        Figures {
            channel: String::new(),
            pattern: "pub/sub",
            wire: "native",
            group: None,
            message: "Imu".into(),
            codec: "fixed layout",
            state: "live",
            problem: None,
            slots: 64,
            slot_size: 40,
            grow: 0,
            growths: 0,
            size: 8192,
            sent: 7,
            bytes: 280,
            holes: 0,
            rate: None,
            rate_window_s: None,
            senders: Some(1),
            receivers: Some(1),
            lost: Some(0),
            queue: None,
            ends: Vec::new(),
            created: None,
            stale_at_most_s: None,
            fingerprint: None,
            path: String::new(),
        }
    }

    fn figures(names: &[&str]) -> Vec<Figures> {
        let one = |(at, name): (usize, &&str)| Figures {
            channel: (*name).to_owned(),
            path: (*name).to_owned(),
            rate: Some(10.0 * at as f64),
            rate_window_s: Some(1.0),
            ..example()
        };
        names.iter().enumerate().map(one).collect()
    }

    fn picture(screen: &mut Screen, width: u16, height: u16) -> Vec<String> {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| screen.draw(frame)).unwrap();
        let buffer = terminal.backend().buffer();
        let line = |y| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>();
        (0..height).map(|y| line(y).trim_end().to_owned()).collect()
    }

    fn press(screen: &mut Screen, keys: &[KeyCode]) -> bool {
        keys.iter().any(|&code| screen.key(KeyEvent::new(code, KeyModifiers::NONE)))
    }

    #[test]
    fn keys_select_and_order_channels() {
        let mut screen = Screen::new(Sort::Rate, true);
        screen.update(figures(&["a", "b", "c"]));
        let lines = picture(&mut screen, 100, 20);
        assert!(lines[1].starts_with("CHANNEL") && lines[2].starts_with("c "), "{lines:#?}");
        assert!(lines[14].starts_with("c   at most 20"), "{lines:#?}");
        assert!(lines[19].starts_with("q quit  s order: rate"), "{lines:#?}");
        assert!(!press(&mut screen, &[KeyCode::Down]));
        assert!(picture(&mut screen, 100, 20)[14].starts_with("b   at most 10"));
        // The channel stays selected in another order.
        assert!(!press(&mut screen, &[KeyCode::Char('s'); 5]));
        let lines = picture(&mut screen, 100, 20);
        assert!(lines[2].starts_with("a ") && lines[14].starts_with("b   at most"), "{lines:#?}");
        assert!(lines[19].contains("s order: name"), "{lines:#?}");
        assert!(!press(&mut screen, &[KeyCode::Char('p')]) && screen.paused);
        assert!(press(&mut screen, &[KeyCode::Char('q')]));
        assert!(screen.key(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL)));
    }

    #[test]
    fn selected_row_stays_on_any_screen() {
        let names: Vec<String> = (0..50).map(|number| format!("channel/{number:02}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut screen = Screen::new(Sort::Name, false);
        screen.update(figures(&names));
        for (width, height) in [(1, 1), (20, 3), (40, 10), (200, 60)] {
            picture(&mut screen, width, height);
        }
        press(&mut screen, &[KeyCode::End]);
        assert!(picture(&mut screen, 60, 10).iter().any(|line| line.starts_with("channel/49")));
        press(&mut screen, &[KeyCode::Home]);
        assert!(picture(&mut screen, 60, 10).iter().any(|line| line.starts_with("channel/00")));
        // Channels that leave take their selection along.
        screen.update(Vec::new());
        assert!(picture(&mut screen, 60, 20)[0].starts_with("0 channels"));
        press(&mut screen, &[KeyCode::Down, KeyCode::Up]);
    }
}
