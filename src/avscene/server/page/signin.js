// Exchange the token for a cookie, then show the page; the route after # is kept.
(() => {
  try {
    const chosen = localStorage.getItem("avscene.theme");
    if (chosen) document.documentElement.dataset.theme = chosen;
  } catch {} // storage may be blocked
  const token = document.getElementById("token");
  const problem = document.getElementById("problem");
  const button = document.querySelector("button");
  document.getElementById("show").addEventListener("change", (event) => {
    token.type = event.target.checked ? "text" : "password";
  });
  document.getElementById("form").addEventListener("submit", async (event) => {
    event.preventDefault();
    problem.textContent = "";
    button.disabled = true;
    try {
      const options = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ token: token.value.trim() }) };
      const response = await fetch("v1/session", options);
      if (response.ok) {
        location.reload();
        return;
      }
      problem.textContent = response.status === 401 ? "This is not the token of this server." : `The server refused the sign-in (status ${response.status}).`;
    } catch {
      problem.textContent = "The server does not answer. Check that it runs, then try again.";
    }
    button.disabled = false;
    token.setAttribute("aria-invalid", "true");
    token.select();
  });
})();
