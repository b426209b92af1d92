package signin

import (
	_ "embed"
	"strings"
	"sync"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"holdfast/internal/problem"
)

// minPassword is the shortest password, in characters.
const minPassword = 12

// CheckPassword refuses a new password that is too short, too long, or among those that are tried first. It
// asks for no particular kinds of characters (NIST SP 800-63B §5.1.1.2): that makes passwords worse.
func CheckPassword(password, email string) error {
	password = norm.NFC.String(password)
	switch n := utf8.RuneCountInString(password); {
	case !utf8.ValidString(password) || strings.ContainsRune(password, 0):
		return problem.InField("password", "the password holds characters that no keyboard makes")
	case n < minPassword:
		return problem.InField("password", "the password has %d characters; at least %d are needed", n, minPassword)
	case len(password) > maxPassword:
		return problem.InField("password", "the password has %d bytes; at most %d are possible", len(password), maxPassword)
	case guessable(password, email):
		return problem.InField("password", "the password is made of what is tried first: common words, names, years, rows of keys, or your e-mail address; use a longer or less common one")
	}
	return nil
}

//go:embed common.txt
var commonText string

// commonWords are the words of common.txt.
var commonWords = sync.OnceValue(func() map[string]bool {
	words := map[string]bool{}
	for line := range strings.Lines(commonText) {
		if word := strings.TrimSpace(line); word != "" && !strings.HasPrefix(word, "#") {
			words[word] = true
		}
	}
	return words
})

// enough is how many parts that can be guessed a password must be made of, at least. A part is a common
// word, a run, a year, a repetition of what is before it, or one character. There are about a thousand
// words and runs, so three parts are at most 10⁹ passwords, and in practice a few thousand favourites;
// each of twelve characters that belong to no word counts for itself.
const enough = 4

// guessable reports whether the password is made of few parts.
func guessable(password, email string) bool {
	return parts([]rune(strings.ToLower(password)), ownWords(email)) < enough
}

// ownWords are what an e-mail address is made of.
func ownWords(email string) map[string]bool {
	words := map[string]bool{}
	local, domain, _ := strings.Cut(fold(email), "@")
	name, _, _ := strings.Cut(domain, ".")
	pieces := strings.FieldsFunc(local, func(r rune) bool { return strings.ContainsRune("._-+", r) })
	for _, w := range append(pieces, local, strings.Join(pieces, ""), domain, name, fold(email)) {
		if len(w) >= 3 {
			words[w] = true
		}
	}
	return words
}

// unleet puts letters back for the digits and signs that are written instead of them. one is what 1 and !
// stand for.
func unleet(text string, one rune) string {
	return strings.Map(func(r rune) rune {
		switch r {
		case '@', '4':
			return 'a'
		case '0':
			return 'o'
		case '3', '€':
			return 'e'
		case '$', '5':
			return 's'
		case '7':
			return 't'
		case '1', '!':
			return one
		}
		return r
	}, text)
}

// longestWord bounds the search for words; the longest one in common.txt is shorter.
const longestWord = 40

// parts is the least number of parts that the text can be cut into. A part is read as it is, or with the
// digits and signs that stand for letters put back.
func parts(text []rune, own map[string]bool) int {
	common := commonWords()
	known := func(word string) bool { return common[word] || own[word] }
	asI, asL := []rune(unleet(string(text), 'i')), []rune(unleet(string(text), 'l'))
	least := make([]int, len(text)+1) // of the first i characters
	for i := 1; i <= len(text); i++ {
		least[i] = least[i-1] + 1
		for j := max(0, i-longestWord); j < i-1; j++ {
			if least[j]+1 >= least[i] {
				continue
			}
			piece := text[j:i]
			if word := string(piece); known(word) || known(string(asI[j:i])) || known(string(asL[j:i])) || isYear(word) || isRun(piece) {
				least[i] = least[j] + 1
			}
		}
		// What repeats the text right before it costs one part, however often it is repeated.
		for n := 1; n <= i/2; n++ {
			j := i
			for j >= 2*n && string(text[j-n:j]) == string(text[j-2*n:j-n]) {
				j -= n
			}
			if j < i {
				least[i] = min(least[i], least[j]+1)
			}
		}
	}
	return least[len(text)]
}

func isYear(word string) bool {
	return len(word) == 4 && (strings.HasPrefix(word, "19") || strings.HasPrefix(word, "20")) && strings.Trim(word, "0123456789") == ""
}

// rows are what fingers run along: keys side by side, one below the other, zigzags over two rows, the
// alphabet, digits.
const rows = "1234567890 qwertyuiop asdfghjkl zxcvbnm qwertzuiop yxcvbnm azertyuiop qsdfghjklm wxcvbn " +
	"abcdefghijklmnopqrstuvwxyz 0123456789 !@#$%^&*() !\"§$%&/()= " +
	"1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik,9ol. 1q2w3e4r5t6y7u8i9o0p q1w2e3r4t5y6u7i8o9p0 zaq12wsxcde34rfvbgt56yhn " +
	"1qay2wsx3edc4rfv5tgb6zhn7ujm 1q2w3e4r5t6z7u8i9o0p qaywsxedcrfvtgb qazwsxedcrfvtgbyhnujm zaqxswcdevfr a1b2c3d4e5f6g7h8 1a2b3c4d5e6f7g8h9 " +
	"147258369 789456123 159753 123321 112233445566778899 aabbccddeeff abc123 q1w2e3 asdfjkl asdfghjklöä qwertyuiopü"

// isRun reports whether at least three characters are the same, or follow one another in a row, forwards or
// backwards.
func isRun(piece []rune) bool {
	if len(piece) < 3 {
		return false
	}
	text := string(piece)
	if strings.Trim(text, string(piece[0])) == "" {
		return true
	}
	if strings.Contains(text, " ") {
		return false
	}
	back := make([]rune, len(piece))
	for i, r := range piece {
		back[len(piece)-1-i] = r
	}
	return strings.Contains(rows, text) || strings.Contains(rows, string(back))
}
