// Elements with text in them, and buttons that copy a text.

function node(kind, text, ...children) {
  const made = document.createElement(kind);
  if (text) made.textContent = text;
  made.append(...children);
  return made;
}

function copyButton(text, words) {
  const button = node("button", words);
  button.type = "button";
  button.className = "copy";
  button.addEventListener("click", () => copy(text, button));
  return button;
}

// The clipboard where the browser lets a file have it, else the old way.
function copy(text, button) {
  const words = button.textContent;
  const done = (how) => {
    button.textContent = how;
    setTimeout(() => { button.textContent = words; }, 1200);
  };
  const old = () => {
    const area = node("textarea", text);
    document.body.append(area);
    area.select();
    const copied = document.execCommand("copy");
    area.remove();
    done(copied ? "copied" : "press Ctrl+C");
  };
  if (navigator.clipboard) navigator.clipboard.writeText(text).then(() => done("copied"), old);
  else old();
}
