package console

import (
	"slices"
	"strings"
	"text/template"

	"holdfast/internal/oauth"
)

// Connection is what a platform is told about an application, but for the secret.
type Connection struct {
	BaseURL   string // without a slash at the end
	AccountID string
	ClientID  string
	Scopes    []string
}

func (c *Console) connection(app oauth.Client) Connection {
	return Connection{BaseURL: c.APIURL, AccountID: app.AccountID, ClientID: app.ID, Scopes: app.Scopes}
}

// TokenURL is where access tokens are requested.
func (c Connection) TokenURL() string { return c.BaseURL + "/v1/oauth/token" }

// UsersURL is the list of people.
func (c Connection) UsersURL() string { return c.BaseURL + "/v1/accounts/" + c.AccountID + "/users" }

// May reports whether the application has the scope.
func (c Connection) May(scope string) bool { return slices.Contains(c.Scopes, scope) }

// NeedsPerson reports whether the snippets call something about one person.
func (c Connection) NeedsPerson() bool {
	return slices.ContainsFunc(c.Scopes, func(s string) bool { return s != "list_users" })
}

// Steps are the calls about one person that the scopes allow, in an order that leaves her active.
func (c Connection) Steps() []Step {
	all := []Step{
		{"get_user", "GET", "", "Get user", "User"},
		{"suspend_users", "POST", ":suspend", "Suspend", "Suspend"},
		{"reactivate_users", "POST", ":reactivate", "Reactivate", "Reactivate"},
	}
	return slices.DeleteFunc(all, func(s Step) bool { return !c.May(s.Scope) })
}

// Step is a call about one person.
type Step struct {
	Scope, Method, Verb string
	Name                string // as people call it
	Go                  string // the method of usersapi.Client
}

// Snippet shows how something is connected. Programs (those with a File) take CLIENT_SECRET, and USER_ID
// where the application may do something to a person, from the environment, and can be run as they are.
type Snippet struct {
	ID   string // of the platform
	Name string
	File string // what the program is called when it is saved; empty for configuration
	Text string
}

// Snippets are filled in for one application. They call what its scopes allow, and nothing else.
func Snippets(c Connection) ([]Snippet, error) {
	all := []Snippet{
		{ID: "curl", Name: "curl", File: "holdfast.sh", Text: curlSnippet},
		{ID: "go", Name: "Go", File: "main.go", Text: goSnippet},
		{ID: "python", Name: "Python", File: "holdfast.py", Text: pythonSnippet},
		{ID: "javascript", Name: "JavaScript", File: "holdfast.mjs", Text: javascriptSnippet},
		{ID: "elastic", Name: "Elastic", Text: elasticSnippet},
		{ID: "n8n", Name: "n8n", Text: n8nSnippet},
		{ID: "node-red", Name: "Node-RED", Text: nodeREDSnippet},
	}
	for i, s := range all {
		t, err := template.New(s.ID).Parse(s.Text)
		if err != nil {
			return nil, err
		}
		var b strings.Builder
		if err := t.Execute(&b, c); err != nil {
			return nil, err
		}
		all[i].Text = strings.TrimSpace(b.String()) + "\n"
	}
	return all, nil
}

const curlSnippet = `
# CLIENT_SECRET{{if .NeedsPerson}} and USER_ID{{end}}: set in the environment, the secret from the vault
token=$(curl -sS --fail-with-body -u "{{.ClientID}}:$CLIENT_SECRET" \
  -d grant_type=client_credentials {{.TokenURL}} |
  sed -n 's/.*"access_token" *: *"\([^"]*\)".*/\1/p')
{{if .May "list_users"}}
# List users
curl -sS --fail-with-body -H "Authorization: Bearer $token" -A "ExampleSOAR/1.0" \
  "{{.UsersURL}}?max_page_size=10"
echo
{{end}}{{range .Steps}}
# {{.Name}}
curl -sS --fail-with-body -X {{.Method}} -H "Authorization: Bearer $token" -A "ExampleSOAR/1.0" \
  "{{$.UsersURL}}/$USER_ID{{.Verb}}"
echo
{{end}}`

const goSnippet = `
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	"holdfast/usersapi"
)

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	client, err := usersapi.New(usersapi.Config{
		BaseURL:      "{{.BaseURL}}",
		AccountID:    "{{.AccountID}}",
		ClientID:     "{{.ClientID}}",
		ClientSecret: os.Getenv("CLIENT_SECRET"),
		UserAgent:    "ExampleSOAR/1.0",
	})
	if err != nil {
		log.Fatal(err)
	}
{{- if .May "list_users"}}

	for user, err := range client.Users(ctx, usersapi.Everybody) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(user.ID, user.State, user.Email)
	}
{{- end}}
{{- range $i, $step := .Steps}}

	{{if $i}}user, err = {{else}}user, err := {{end}}client.{{.Go}}(ctx, os.Getenv("USER_ID"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(user.DisplayName, "is", user.State)
{{- end}}
}
`

const pythonSnippet = `
import base64, json, os, urllib.parse, urllib.request

CLIENT_ID = "{{.ClientID}}"
TOKEN_URL = "{{.TokenURL}}"
USERS_URL = "{{.UsersURL}}"


def call(method, url, authorization, form=None):
    request = urllib.request.Request(url, method=method, headers={
        "Authorization": authorization, "User-Agent": "ExampleSOAR/1.0"})
    if form:
        request.data = urllib.parse.urlencode(form).encode()
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


pair = f"{CLIENT_ID}:{os.environ['CLIENT_SECRET']}".encode()
basic = "Basic " + base64.b64encode(pair).decode()
token = call("POST", TOKEN_URL, basic, {"grant_type": "client_credentials"})
bearer = "Bearer " + token["access_token"]
{{- if .May "list_users"}}

query = {"max_page_size": 100}
while True:
    page = call("GET", USERS_URL + "?" + urllib.parse.urlencode(query), bearer)
    for user in page["results"]:
        print(user["id"], user["state"], user["email"])
    if not page.get("next_page_token"):
        break
    query["page_token"] = page["next_page_token"]
{{- end}}
{{- if .Steps}}

person = USERS_URL + "/" + os.environ["USER_ID"]
{{- range .Steps}}
print("{{.Name}}:", call("{{.Method}}", person{{if .Verb}} + "{{.Verb}}"{{end}}, bearer)["state"])
{{- end}}
{{- end}}
`

const javascriptSnippet = `
const clientId = '{{.ClientID}}'
const tokenURL = '{{.TokenURL}}'
const usersURL = '{{.UsersURL}}'

async function call(method, url, authorization, body) {
  const answer = await fetch(url, { method, body, headers: { Authorization: authorization, 'User-Agent': 'ExampleSOAR/1.0' } })
  if (!answer.ok) throw new Error(` + "`${method} ${url}: ${answer.status} ${await answer.text()}`" + `)
  return answer.json()
}

const basic = 'Basic ' + btoa(clientId + ':' + process.env.CLIENT_SECRET)
const form = new URLSearchParams({ grant_type: 'client_credentials' })
const bearer = 'Bearer ' + (await call('POST', tokenURL, basic, form)).access_token
{{- if .May "list_users"}}

const query = new URLSearchParams({ max_page_size: '100' })
for (;;) {
  const page = await call('GET', usersURL + '?' + query, bearer)
  for (const user of page.results) console.log(user.id, user.state, user.email)
  if (!page.next_page_token) break
  query.set('page_token', page.next_page_token)
}
{{- end}}
{{- if .Steps}}

const person = usersURL + '/' + process.env.USER_ID
{{- range .Steps}}
console.log('{{.Name}}:', (await call('{{.Method}}', person{{if .Verb}} + '{{.Verb}}'{{end}}, bearer)).state)
{{- end}}
{{- end}}
`

// Kibana 9.2 and later: a webhook connector that asks for its own tokens, as POST kbn:/api/actions/connector.
const elasticSnippet = `
{
  "name": "Holdfast",
  "connector_type_id": ".webhook",
  "config": {
    "method": "{{if .May "suspend_users"}}post{{else if .May "list_users"}}get{{else if .May "get_user"}}get{{else}}post{{end}}",
    "url": "{{.UsersURL}}{{if .May "suspend_users"}}/USER_ID:suspend{{else if .May "list_users"}}{{else if .May "get_user"}}/USER_ID{{else}}/USER_ID:reactivate{{end}}",
    "hasAuth": true,
    "authType": "webhook-oauth2-client-credentials",
    "accessTokenUrl": "{{.TokenURL}}",
    "clientId": "{{.ClientID}}",
    "scope": "openid"
  },
  "secrets": {
    "clientSecret": "CLIENT_SECRET"
  }
}
`

const n8nSnippet = `
Credential: OAuth2 API
  Grant Type          Client Credentials
  Access Token URL    {{.TokenURL}}
  Client ID           {{.ClientID}}
  Client Secret       the client secret, from the vault
  Scope               openid
  Authentication      Header

HTTP Request node: Authentication = Generic Credential Type, Generic Auth Type = OAuth2 API
{{- if .May "list_users"}}

  List users
  Method              GET
  URL                 {{.UsersURL}}
{{- end}}
{{- range .Steps}}

  {{.Name}}
  Method              {{.Method}}
  URL                 {{$.UsersURL}}/{{"{{ $json.id }}"}}{{.Verb}}
{{- end}}
`

const nodeREDSnippet = `
[
  {
    "id": "holdfast-token", "type": "oauth2", "name": "token", "container": "oauth2Response",
    "grant_type": "client_credentials",
    "access_token_url": "{{.TokenURL}}",
    "client_id": "{{.ClientID}}", "client_secret": "${CLIENT_SECRET}", "scope": "openid",
    "client_credentials_in_body": false, "senderr": true, "rejectUnauthorized": true, "headers": {},
    "x": 140, "y": 80, "wires": [["holdfast-header"], []]
  },
  {
    "id": "holdfast-header", "type": "change", "name": "no header but the token",
    "rules": [
      { "t": "set", "p": "headers", "pt": "msg", "tot": "jsonata",
        "to": "{'authorization': 'Bearer ' & oauth2Response.access_token}" },
      { "t": "delete", "p": "payload", "pt": "msg" }
    ],
    "x": 340, "y": 80, "wires": [["holdfast-call"]]
  },
  {
    "id": "holdfast-call", "type": "http request", "ret": "obj", "headers": [],
{{- if .May "list_users"}}
    "name": "List users", "method": "GET",
    "url": "{{.UsersURL}}",
{{- else}}{{with index .Steps 0}}
    "name": "{{.Name}}", "method": "{{.Method}}",
    "url": "{{$.UsersURL}}/{{"{{{user_id}}}"}}{{.Verb}}",
{{- end}}{{end}}
    "x": 560, "y": 80, "wires": [[]]
  }
]
`
