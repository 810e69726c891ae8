//! The page and its parts, built into the program.
//!
//! Owns the paths. Calls nothing. Never reads a file.

/// A part of the page.
pub struct Part {
    pub path: &'static str,
    pub kind: &'static str,
    pub text: &'static str,
}

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";

const PARTS: [Part; 8] = [
    Part { path: "/", kind: HTML, text: include_str!("../page/index.html") },
    Part { path: "/page.css", kind: STYLE, text: include_str!("../page/page.css") },
    Part { path: "/page.js", kind: SCRIPT, text: include_str!("../page/page.js") },
    Part { path: "/values.js", kind: SCRIPT, text: include_str!("../page/values.js") },
    Part { path: "/plots.js", kind: SCRIPT, text: include_str!("../page/plots.js") },
    Part { path: "/uplot.js", kind: SCRIPT, text: include_str!("../page/uplot/uPlot.iife.min.js") },
    Part { path: "/uplot.css", kind: STYLE, text: include_str!("../page/uplot/uPlot.min.css") },
    Part {
        path: "/uplot.licence.txt",
        kind: "text/plain; charset=utf-8",
        text: include_str!("../page/uplot/LICENSE"),
    },
];

/// Returns the part at a path.
pub fn part(path: &str) -> Option<&'static Part> {
    PARTS.iter().find(|part| part.path == path)
}
