package console

import (
	"embed"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/nicksnyder/go-i18n/v2/i18n"
	"go.yaml.in/yaml/v3"
	"golang.org/x/text/language"

	"holdfast/internal/web"
)

//go:embed locales
var locales embed.FS

// languages are those that the console has, the default first.
var languages = []language.Tag{language.English, language.German}

const languageCookie = "__Host-holdfast-lang"

// catalogue holds the texts. A text is found by its key; a missing one is shown as its key, which a test
// does not let happen.
type catalogue struct {
	bundle     *i18n.Bundle
	localizers map[string]*i18n.Localizer
	matcher    language.Matcher
}

func newCatalogue() (*catalogue, error) {
	c := &catalogue{bundle: i18n.NewBundle(languages[0]), localizers: map[string]*i18n.Localizer{}, matcher: language.NewMatcher(languages)}
	c.bundle.RegisterUnmarshalFunc("yaml", yaml.Unmarshal)
	for _, tag := range languages {
		files, err := fs.Glob(locales, "locales/"+tag.String()+"/*.yaml")
		if err != nil {
			return nil, fmt.Errorf("list texts: %w", err)
		}
		for _, file := range files {
			text, err := locales.ReadFile(file)
			if err != nil {
				return nil, fmt.Errorf("read texts: %w", err)
			}
			// The library takes the language from the name of the file: <area>.<language>.yaml.
			name := strings.TrimSuffix(path.Base(file), ".yaml") + "." + tag.String() + ".yaml"
			if _, err := c.bundle.ParseMessageFileBytes(text, name); err != nil {
				return nil, fmt.Errorf("read texts of %s: %w", file, err)
			}
		}
		c.localizers[tag.String()] = i18n.NewLocalizer(c.bundle, tag.String())
	}
	return c, nil
}

// text is the text of the key, with pairs of name and value filled in. A value named Count chooses the
// plural form.
func (c *catalogue) text(lang, key string, pairs ...any) string {
	s, _ := c.lookup(lang, key, pairs...)
	return s
}

func (c *catalogue) lookup(lang, key string, pairs ...any) (string, bool) {
	data := make(map[string]any, len(pairs)/2)
	for i := 0; i+1 < len(pairs); i += 2 {
		data[fmt.Sprint(pairs[i])] = pairs[i+1]
	}
	cfg := &i18n.LocalizeConfig{MessageID: key, TemplateData: data}
	if n, ok := data["Count"]; ok {
		cfg.PluralCount = n
		data["Count"] = number(lang, n)
	}
	s, err := c.localizers[lang].Localize(cfg)
	if err != nil {
		return key, false
	}
	return s, true
}

// languageOf is the language of the answer: the one chosen, else the best of what the browser accepts.
func (c *catalogue) languageOf(r *http.Request) string {
	if cookie, err := r.Cookie(languageCookie); err == nil {
		for _, tag := range languages {
			if tag.String() == cookie.Value {
				return cookie.Value
			}
		}
	}
	accepted, _, err := language.ParseAcceptLanguage(r.Header.Get("Accept-Language"))
	if err != nil || len(accepted) == 0 {
		return languages[0].String()
	}
	_, i, _ := c.matcher.Match(accepted...)
	return languages[i].String()
}

// setLanguage keeps the choice for a year.
func (c *Console) setLanguage(w http.ResponseWriter, r *http.Request) error {
	f, err := form(r)
	if err != nil {
		return err
	}
	for _, tag := range languages {
		if tag.String() == f.Get("language") {
			http.SetCookie(w, web.Cookie(languageCookie, tag.String(), c.Now().AddDate(1, 0, 0).Truncate(time.Second)))
		}
	}
	return redirect(w, r, local(f.Get("next"), "/"))
}
