package signals

import "strings"

// countryNames are the codes of ISO 3166-1 alpha-2 with the names that sources write instead of them,
// English, lower case.
const countryNames = `AD andorra
AE united arab emirates
AF afghanistan
AG antigua and barbuda
AI anguilla
AL albania
AM armenia
AO angola
AQ antarctica
AR argentina
AS american samoa
AT austria
AU australia
AW aruba
AX aland islands|åland islands
AZ azerbaijan
BA bosnia and herzegovina
BB barbados
BD bangladesh
BE belgium
BF burkina faso
BG bulgaria
BH bahrain
BI burundi
BJ benin
BL saint barthelemy|saint barthélemy
BM bermuda
BN brunei|brunei darussalam
BO bolivia|bolivia, plurinational state of
BQ bonaire, sint eustatius and saba|caribbean netherlands
BR brazil
BS bahamas|the bahamas
BT bhutan
BV bouvet island
BW botswana
BY belarus
BZ belize
CA canada
CC cocos (keeling) islands|cocos islands
CD congo, democratic republic of the|democratic republic of the congo|dr congo|congo - kinshasa|congo (drc)
CF central african republic
CG congo|republic of the congo|congo - brazzaville
CH switzerland
CI ivory coast|cote d'ivoire|côte d'ivoire|côte d’ivoire
CK cook islands
CL chile
CM cameroon
CN china|people's republic of china
CO colombia
CR costa rica
CU cuba
CV cape verde|cabo verde
CW curacao|curaçao
CX christmas island
CY cyprus
CZ czechia|czech republic
DE germany
DJ djibouti
DK denmark
DM dominica
DO dominican republic
DZ algeria
EC ecuador
EE estonia
EG egypt
EH western sahara
ER eritrea
ES spain
ET ethiopia
FI finland
FJ fiji
FK falkland islands|falkland islands (malvinas)
FM micronesia|micronesia, federated states of|federated states of micronesia
FO faroe islands
FR france
GA gabon
GB united kingdom|great britain|uk|united kingdom of great britain and northern ireland
GD grenada
GE georgia
GF french guiana
GG guernsey
GH ghana
GI gibraltar
GL greenland
GM gambia|the gambia
GN guinea
GP guadeloupe
GQ equatorial guinea
GR greece
GS south georgia and the south sandwich islands
GT guatemala
GU guam
GW guinea-bissau
GY guyana
HK hong kong|hong kong sar|hong kong sar china
HM heard island and mcdonald islands
HN honduras
HR croatia
HT haiti
HU hungary
ID indonesia
IE ireland
IL israel
IM isle of man
IN india
IO british indian ocean territory
IQ iraq
IR iran|iran, islamic republic of|islamic republic of iran
IS iceland
IT italy
JE jersey
JM jamaica
JO jordan|hashemite kingdom of jordan
JP japan
KE kenya
KG kyrgyzstan
KH cambodia
KI kiribati
KM comoros
KN saint kitts and nevis|st kitts and nevis
KP north korea|korea, democratic people's republic of|democratic people's republic of korea
KR south korea|korea|korea, republic of|republic of korea
KW kuwait
KY cayman islands
KZ kazakhstan
LA laos|lao people's democratic republic
LB lebanon
LC saint lucia|st lucia
LI liechtenstein
LK sri lanka
LR liberia
LS lesotho
LT lithuania|republic of lithuania
LU luxembourg
LV latvia
LY libya
MA morocco
MC monaco
MD moldova|republic of moldova|moldova, republic of
ME montenegro
MF saint martin|saint martin (french part)
MG madagascar
MH marshall islands
MK north macedonia|macedonia
ML mali
MM myanmar|myanmar (burma)|burma
MN mongolia
MO macao|macau|macao sar|macao sar china
MP northern mariana islands
MQ martinique
MR mauritania
MS montserrat
MT malta
MU mauritius
MV maldives
MW malawi
MX mexico
MY malaysia
MZ mozambique
NA namibia
NC new caledonia
NE niger
NF norfolk island
NG nigeria
NI nicaragua
NL netherlands|the netherlands
NO norway
NP nepal
NR nauru
NU niue
NZ new zealand
OM oman
PA panama
PE peru
PF french polynesia
PG papua new guinea
PH philippines
PK pakistan
PL poland
PM saint pierre and miquelon
PN pitcairn|pitcairn islands
PR puerto rico
PS palestine|palestine, state of|palestinian territories|palestinian territory
PT portugal
PW palau
PY paraguay
QA qatar
RE reunion|réunion
RO romania
RS serbia
RU russia|russian federation
RW rwanda
SA saudi arabia
SB solomon islands
SC seychelles
SD sudan
SE sweden
SG singapore
SH saint helena|saint helena, ascension and tristan da cunha
SI slovenia
SJ svalbard and jan mayen
SK slovakia|slovak republic
SL sierra leone
SM san marino
SN senegal
SO somalia
SR suriname
SS south sudan
ST sao tome and principe|são tomé and príncipe
SV el salvador
SX sint maarten|sint maarten (dutch part)
SY syria|syrian arab republic
SZ eswatini|swaziland
TC turks and caicos islands
TD chad
TF french southern territories
TG togo
TH thailand
TJ tajikistan
TK tokelau
TL timor-leste|east timor
TM turkmenistan
TN tunisia
TO tonga
TR turkey|türkiye|turkiye
TT trinidad and tobago
TV tuvalu
TW taiwan|taiwan, province of china
TZ tanzania|tanzania, united republic of|united republic of tanzania
UA ukraine
UG uganda
UM united states minor outlying islands
US united states|united states of america|usa
UY uruguay
UZ uzbekistan
VA vatican city|holy see
VC saint vincent and the grenadines|st vincent and the grenadines
VE venezuela|venezuela, bolivarian republic of
VG british virgin islands|virgin islands, british
VI u.s. virgin islands|us virgin islands|virgin islands, u.s.
VN vietnam|viet nam
VU vanuatu
WF wallis and futuna
WS samoa
XK kosovo
YE yemen
YT mayotte
ZA south africa
ZM zambia
ZW zimbabwe`

// countries finds the code for a country, however a source writes it.
type countries map[string]string

func newCountries() countries {
	c := countries{}
	for line := range strings.Lines(countryNames) {
		code, names, _ := strings.Cut(strings.TrimSpace(line), " ")
		c[strings.ToLower(code)] = code
		for name := range strings.SplitSeq(names, "|") {
			c[name] = code
		}
	}
	return c
}

// code is the code of a country that is given as a code or an English name; empty if it is neither.
func (c countries) code(s string) string {
	if len(s) == 2 && 'A' <= s[0] && s[0] <= 'Z' && 'A' <= s[1] && s[1] <= 'Z' {
		return s // also XX, ZZ and T1, which some sources use for "unknown" and "Tor"
	}
	return c[strings.ToLower(strings.TrimSpace(s))]
}
