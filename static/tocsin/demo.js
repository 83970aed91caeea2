// With DEBUG: a button a demo person, which fills in both fields.
for (const button of document.querySelectorAll("[data-demo]")) {
  button.addEventListener("click", () => {
    const { login, password } = document.querySelector("form").elements;
    login.value = password.value = button.dataset.demo;
    document.querySelector("form [type=submit]").focus();
  });
}
