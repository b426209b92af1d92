package server

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"time"

	"golang.org/x/text/unicode/norm"

	"holdfast/internal/audit"
	"holdfast/internal/directory"
	"holdfast/internal/feed"
	"holdfast/internal/oauth"
	"holdfast/internal/seal"
	"holdfast/internal/vault"
)

// Demo is a made-up company, with one OAuth application that may do everything, and an events token.
type Demo struct {
	Account     directory.Account
	Owner       directory.User
	Password    seal.Secret // the owner's
	Credentials oauth.Credentials
	EventsToken feed.Issued // for all kinds of events
	People      int
	Attempts    int            // to sign in, during the last month
	Somebody    directory.User // an ordinary person to try things on
}

// demoPerson is one line of the made-up company.
type demoPerson struct {
	name    string
	groups  string // separated by commas
	managed bool   // by the identity provider
	held    string // reason of an open hold
}

// SeedDemo creates the made-up company.
func (s *Server) SeedDemo(ctx context.Context) (Demo, error) {
	by := audit.Entry{Actor: "operator:demo"}
	var d Demo
	var err error
	d.Account, d.Owner, err = s.db.CreateAccount(ctx, directory.NewAccount{
		Name: "Harbour & Vale", OwnerEmail: demoEmail("Ines Marques"), OwnerName: "Ines Marques",
	}, by)
	if err != nil {
		return d, fmt.Errorf("create demo account: %w", err)
	}
	account := d.Account.ID
	d.Password = demoPassword()
	if err := s.signin.SetInitialPassword(ctx, account, d.Owner.ID, d.Password.Reveal(), by); err != nil {
		return d, fmt.Errorf("set demo owner's password: %w", err)
	}
	for _, name := range []string{"Engineering", "Finance", "Sales", "Contractors"} {
		if _, err := s.db.CreateGroup(ctx, account, name, by); err != nil {
			return d, fmt.Errorf("create demo group: %w", err)
		}
	}
	people := demoPeople()
	d.People = 1 + len(people)
	all := []directory.User{d.Owner}
	for _, p := range people {
		u, err := s.db.AddUser(ctx, account, directory.NewUser{
			Email: demoEmail(p.name), DisplayName: p.name, ExternallyManaged: p.managed, Groups: strings.Split(p.groups, ","),
		}, by)
		if err != nil {
			return d, fmt.Errorf("add demo person %q: %w", p.name, err)
		}
		if p.held != "" {
			hold := directory.NewHold{Holder: by.Actor, Reason: p.held}
			if _, err := s.db.SuspendUser(ctx, account, u.ID, hold, by.Because(p.held)); err != nil {
				return d, fmt.Errorf("suspend demo person %q: %w", p.name, err)
			}
		}
		all = append(all, u)
		if d.Somebody.ID == "" && p.groups == "Sales" {
			d.Somebody = u
		}
	}
	if d.Attempts, err = s.demoHistory(ctx, account, all, by); err != nil {
		return d, err
	}
	if err := s.demoVault(ctx, d); err != nil {
		return d, fmt.Errorf("create demo vault: %w", err)
	}
	d.Credentials, err = s.oauth.Create(ctx, account, oauth.NewClient{
		Name: "Demo platform", Description: "What a security platform would use. All four scopes, for trying things out.",
		RedirectURL: "https://soar.example.org/callback", Scopes: oauth.Scopes(),
	}, by)
	if err != nil {
		return d, fmt.Errorf("create demo application: %w", err)
	}
	d.EventsToken, err = s.feed.Issue(ctx, account, feed.NewToken{Name: "Demo SIEM", Features: feed.Streams(), Life: 90 * 24 * time.Hour}, by)
	if err != nil {
		return d, fmt.Errorf("issue demo events token: %w", err)
	}
	return d, nil
}

// demoVault makes a vault in which the owner and the members of Security can save credentials.
func (s *Server) demoVault(ctx context.Context, d Demo) error {
	by := audit.Entry{Actor: "user:" + d.Owner.ID}
	owner := vault.Viewer{AccountID: d.Account.ID, UserID: d.Owner.ID}
	v, err := s.vaults.Create(ctx, owner, "Security automation", "What security platforms sign in with.", by)
	if err != nil {
		return err
	}
	groups, err := s.db.Groups(ctx, d.Account.ID)
	if err != nil {
		return err
	}
	for _, g := range groups {
		if g.Kind == directory.Security {
			return s.vaults.SetGrant(ctx, owner, v.ID, "group:"+g.ID, vault.Edit, by)
		}
	}
	return nil
}

// demoPassword is four groups of five letters and digits, easy to type from a screen.
func demoPassword() seal.Secret {
	text := strings.ToLower(rand.Text())
	return seal.NewSecret(strings.Join([]string{text[:5], text[5:10], text[10:15], text[15:20]}, "-"))
}

// demoEmail makes mira.oduya@harbour-vale.example of Mira Oduya. The domain is reserved by RFC 2606.
func demoEmail(name string) string {
	plain := func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r == '-':
			return r
		case r == ' ':
			return '.'
		}
		return -1 // accents, once they are apart from their letters, and apostrophes
	}
	special := strings.NewReplacer("ø", "o", "æ", "ae", "ł", "l", "ı", "i")
	return strings.Map(plain, norm.NFD.String(special.Replace(strings.ToLower(name)))) + "@harbour-vale.example"
}

// demoPeople are 49 people; with the owner they are 50.
func demoPeople() []demoPerson {
	return []demoPerson{
		{name: "Tomas Rehn", groups: "Administrators,Engineering"},
		{name: "Adaeze Okonkwo", groups: "Administrators"},
		{name: "Yuki Tanabe", groups: "Security,Engineering"},
		{name: "Sólveig Arnardóttir", groups: "Security"},
		{name: "Mira Oduya", groups: "Sales"},
		{name: "Luc Fontaine", groups: "Engineering"},
		{name: "Zeynep Yıldız", groups: "Engineering"},
		{name: "Piotr Wójcik", groups: "Engineering"},
		{name: "Hana Nováková", groups: "Engineering"},
		{name: "Diego Ibáñez", groups: "Engineering"},
		{name: "Aroha Ngata", groups: "Engineering"},
		{name: "Siddharth Rao", groups: "Engineering"},
		{name: "Freja Lindqvist", groups: "Engineering"},
		{name: "Kwame Asante", groups: "Engineering"},
		{name: "Chloé Lambert", groups: "Engineering"},
		{name: "Jürgen Köhler", groups: "Finance"},
		{name: "Beatriz Nogueira", groups: "Finance"},
		{name: "Nguyen Thi Lan", groups: "Finance"},
		{name: "Oluwaseun Adeyemi", groups: "Finance"},
		{name: "Katarzyna Zielińska", groups: "Finance"},
		{name: "Haruto Mori", groups: "Finance"},
		{name: "Leila Haddad", groups: "Sales"},
		{name: "Marco Bianchi", groups: "Sales"},
		{name: "Amélie Dubois", groups: "Sales"},
		{name: "Ruth Goldberg", groups: "Sales"},
		{name: "Søren Kjær", groups: "Sales"},
		{name: "Fatima Zahra Alaoui", groups: "Sales"},
		{name: "Ivan Horvat", groups: "Sales"},
		{name: "Grace Mwangi", groups: "Sales"},
		{name: "Min-jun Park", groups: "Sales"},
		{name: "Ciara O'Sullivan", groups: "Sales"},
		{name: "Tariq Aziz", groups: "Sales"},
		{name: "Elif Şahin", groups: "Engineering"},
		{name: "Noah Peeters", groups: "Engineering"},
		{name: "Valentina Rossi", groups: "Finance"},
		{name: "Andrei Popescu", groups: "Engineering"},
		{name: "Isla Fraser", groups: "Engineering"},
		{name: "Mateo Quispe", groups: "Sales"},
		{name: "Priya Nair", groups: "Engineering"},
		{name: "Johan van Dijk", groups: "Finance"},
		{name: "Anwar Siddiqui", groups: "Contractors"},
		{name: "Dana Weiss", groups: "Contractors"},
		{name: "Olena Kovalenko", groups: "Contractors"},
		{name: "Raúl Castillo", groups: "Contractors", held: "contract ended on 31 October"},
		{name: "Stefan Baumann", groups: "Contractors", held: "laptop reported stolen"},
		{name: "Wanjiru Kamau", groups: "Contractors"},
		{name: "Nadia Petrova", groups: "Finance", held: "password found in a public leak"},
		{name: "Erik Sandström", groups: "Administrators", managed: true},
		{name: "Lucía Fernández", groups: "Security", managed: true},
	}
}
