import { Converter, makeRecursiveVisitor, PageEvent, ReflectionKind } from "typedoc";

/*
 * What typedoc has to be told about this project.
 *
 * - A guide is called by its first heading, and not by its file: three of the files are a README.md.
 * - A block of code without a language is a drawing. Typedoc would colour it as TypeScript.
 * - Icons are taken from the page itself, where a script of typedoc puts them: a browser refuses them from another file
 *   when a page is opened as a file.
 * - A link to the first page names its file, because a folder that is opened as a file shows what is in it.
 * - Only what has a scheme is a link: typedoc takes README.md for the name of a host in Moldova.
 * - The first heading of the README is the title of its page, which needs no other one.
 * - A path or name in a table may break between its words, so that three columns fit a telephone.
 * - A member of CommandReplies is a command's name and the type of its reply. It needs no docstring, and the types that
 *   only these members use need no page.
 */
export function load(app) {
  app.converter.on(Converter.EVENT_CREATE_DOCUMENT, (_context, document) => {
    const text = document.content.map((part) => part.text).join("");
    const title = /^# (.+)$/m.exec(text)?.[1];
    if (title !== undefined) document.name = title.replaceAll("`", "");
    asText(document.content);
  });
  app.converter.on(Converter.EVENT_RESOLVE_BEGIN, ({ project }) => asText(project.readme ?? []));
  app.options.setValue("markdownItLoader", (markdown) => markdown.linkify.set({ fuzzyLink: false }));
  app.renderer.on(PageEvent.END, (page) => {
    page.contents = page.contents
      ?.replaceAll(/(?:\.\.\/)*assets\/icons\.svg#/g, "#")
      .replace(
        /<div class="tsd-page-title">\s*<h1>[^<]*<\/h1><\/div>\s*(?=<div class="tsd-panel tsd-typography"><h1)/,
        "",
      )
      .replaceAll(/<td[^>]*>.*?<\/td>/g, (cell) => cell.replaceAll(/<code>[^<]*<\/code>/g, breakable))
      .replaceAll(/ href="((?:\.\.\/)+)(#[^"]*)?"/g, ' href="$1index.html$2"');
  });
  app.converter.on(Converter.EVENT_RESOLVE_END, ({ project }) => {
    const replies = project
      .getReflectionsByKind(ReflectionKind.Property)
      .filter(({ parent }) => parent?.name === "CommandReplies");
    add("intentionallyNotDocumented", withoutComment(replies));
    add("intentionallyNotExported", typesWithoutPage(replies));
  });

  function add(option, names) {
    app.options.setValue(option, [...app.options.getValue(option), ...names]);
  }
}

function breakable(code) {
  return code.replaceAll(/\w[/.](?=[\w#])|[a-z](?=[A-Z])/g, "$&<wbr>");
}

function asText(parts) {
  for (const part of parts) {
    if (part.kind === "code" && part.text.startsWith("```\n")) part.text = part.text.replace("```", "```text");
  }
}

function withoutComment(properties) {
  return properties.filter((property) => !property.hasComment()).map((property) => property.getFriendlyFullName());
}

function typesWithoutPage(properties) {
  const found = new Set();
  const visitor = makeRecursiveVisitor({
    reference(type) {
      const { packagePath = "" } = type.symbolId ?? {};
      if (!type.reflection && packagePath.includes("commands/replies/"))
        found.add(`${packagePath}:${type.qualifiedName}`);
    },
  });
  for (const { type } of properties) type?.visit(visitor);
  return found;
}
