//! `audit report`: whether people can read the page.

use serde_json::{Value, json};

use crate::browser::Browser;
use crate::kit::Host;
use crate::reporting::{LOOKS, report, two_weeks};

/// What makes text hard to read: elements whose contrast is below WCAG 2.2's
/// level AA (success criterion 1.4.3).
const FAINT: &str = r#"(() => {
    const numbers = color => (color.match(/[\d.]+/g) || []).map(Number);
    const light = ([r, g, b]) => {
        const [x, y, z] = [r, g, b].map(v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
        return 0.2126 * x + 0.7152 * y + 0.0722 * z;
    };
    const ground = element => {
        for (let one = element; one; one = one.parentElement) {
            const color = numbers(getComputedStyle(one).backgroundColor);
            if (color.length === 3 || color[3] === 1) return color;
        }
        return [255, 255, 255];
    };
    const faint = [];
    let seen = 0;
    for (const element of document.body.querySelectorAll('*')) {
        const hasText = [...element.childNodes].some(node => node.nodeType === 3 && node.data.trim());
        if (!hasText || element.closest('svg') || !element.getClientRects().length) continue;
        const style = getComputedStyle(element);
        const [one, other] = [light(numbers(style.color)), light(ground(element))].sort((a, b) => b - a);
        const size = parseFloat(style.fontSize);
        const isLarge = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
        seen += 1;
        const contrast = (one + 0.05) / (other + 0.05);
        if (contrast < (isLarge ? 3 : 4.5)) faint.push([element.className, element.innerText, contrast]);
    }
    return { seen, faint };
})()"#;

#[test]
fn the_page_is_readable_light_and_dark_on_a_desk_and_in_a_hand() {
    let host = Host::new();
    let log = two_weeks(&host);
    let page = report(&host, &log, &[]);
    let mut browser = Browser::start();
    for look in LOOKS {
        browser.open(&page, look);
        browser.value("document.querySelectorAll('details').forEach(one => one.open = true)");
        assert_eq!(browser.value("innerWidth"), look.width);
        let width = browser
            .value("document.documentElement.scrollWidth")
            .as_u64()
            .unwrap();
        assert!(width <= look.width.into(), "{look:?}: {width}");
        let boxes = browser.value("[...document.querySelectorAll('.box')].filter(box => box.scrollWidth > box.clientWidth).length");
        assert_eq!(
            boxes.as_u64().unwrap() > 0,
            look.width == 390,
            "{look:?}: {boxes}"
        );
        let outside = browser.value(
            "[...document.querySelectorAll('table')].filter(table => !table.closest('.box')).length",
        );
        assert_eq!(outside, 0);
        let color = browser.value("getComputedStyle(document.body).backgroundColor");
        let parts: Vec<u32> = color
            .as_str()
            .unwrap()
            .split(|c: char| !c.is_ascii_digit())
            .filter_map(|part| part.parse().ok())
            .collect();
        let brightness = parts[..3].iter().sum::<u32>() / 3;
        assert!(
            if look.dark {
                brightness < 40
            } else {
                brightness > 230
            },
            "{look:?}: {color}"
        );
        let found = browser.value(FAINT);
        assert!(found["seen"].as_u64().unwrap() > 300, "{found}");
        assert_eq!(found["faint"], json!([]), "{look:?}");
        // Nothing is said by colour alone.
        let unmarked = browser.value("[...document.querySelectorAll('.mark')].filter(mark => !/^[✓✕!–] \\S/.test(mark.textContent)).map(mark => mark.outerHTML)");
        assert_eq!(unmarked, json!([]));
        let fills = browser.value("['allowed', 'observed', 'refused', 'failed'].map(name => getComputedStyle(document.querySelector('.key .' + name)).fill)");
        let fills: Vec<&str> = fills
            .as_array()
            .unwrap()
            .iter()
            .map(|fill| fill.as_str().unwrap())
            .collect();
        assert!(
            fills[2].contains("#hatched") && fills[3].contains("#dotted"),
            "{fills:?}"
        );
        assert_ne!(fills[0], fills[1]);
        assert_eq!(browser.complaints(), Vec::<&Value>::new());
    }
    // Printed, histories are open, nothing is cut off, and paper is white.
    browser.open(&page, LOOKS[1]);
    browser.print();
    let heights = browser.value("[...document.querySelectorAll('.history table')].map(table => table.getBoundingClientRect().height)");
    assert!(
        heights
            .as_array()
            .unwrap()
            .iter()
            .all(|height| height.as_f64().unwrap() > 50.0),
        "{heights}"
    );
    assert_eq!(
        browser.value("getComputedStyle(document.body).backgroundColor"),
        "rgb(255, 255, 255)"
    );
    assert_eq!(browser.value(FAINT)["faint"], json!([]));
}
