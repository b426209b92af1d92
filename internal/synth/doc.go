// Package synth makes up a history of sign-ins, from a seed, in which it is known what is an attack.
//
// It is what detection is measured with, and what a demo shows: people with homes, habits and devices,
// the harmless things that look like attacks, and attacks whose events say that they belong to one. It
// knows nothing of the product, and in particular nothing of the rules that are to find the attacks.
//
// # What holds
//
//   - A [Config] makes the same history on every machine and in every run. The model has no floating point
//     but in distances, no map that is ranged over, no clock, and no database of time zones.
//   - Each person, each attack and the company draw from streams of their own. One more person, or one
//     more attack, leaves the lives of the others as they are; only who must be dormant for an attack is
//     chosen before her life begins.
//   - Events come in order of time. Memory depends on the number of people and attacks, not of days.
//   - No address, number of a network or domain is anybody's: 192.0.2.0/24, 203.0.113.0/24,
//     198.18.0.0/15 and 2001:db8::/32 (RFC 5737, 2544, 3849), numbers for documentation and private use
//     (RFC 5398, 6996), .example and example.net (RFC 2606). Where an address is, is made up with it:
//     a location database knows none of them.
//   - Who is not behind a VPN is in one place, and gets from there to the next by train or plane.
//
// # People
//
//	home         one of 80 real cities; 70 of 100 live in the cities of the four offices
//	time zone    that of the city, without daylight saving: an hour off for half of the year in some
//	way in       35 % passkey (never fails), 35 % password and code or push, 20 % single sign-on, 10 % password
//	working day  begins at 7:05 to 10:25 by habit, give or take 45 minutes; some weekdays in the office
//	sign-ins     3.8 events on a weekday, absences counted: laptop, a second browser, phone, again in the
//	             afternoon and in the evening; 0.6 on a day of a weekend
//	absence      sick three times a year, holidays 2.5 times for 5 to 15 days, feast days
//	devices      browsers with real forms of User-Agent, updated up to three weeks after each release;
//	             the application is called "Holdfast console", as in sign-ins of the product itself
//	lines        two providers in each city; IPv4 addresses change every few months, IPv6 ones each
//	             day within the line's /64
//
// A year of 5,000 people is 5.3 million events, 2.9 per person and day, and 95 or 96 of 100 are
// successes. One core makes 400,000 events a second on a busy machine and a million on an idle one
// (BenchmarkGenerate), in less than 60 MB.
//
// # Awkward behaviour
//
// What a benign event's Note says, and how often that is. Those marked + happen in every history, the
// rest if Config.Awkward is set. If several apply, one is told: the later in this table.
//
//	note                 share      what happens
//	carrier NAT            22 %     phones, and the homes of a tenth of the people, leave through one of twelve
//	                                addresses of the city's mobile network, another one each time
//	kiosk                 1.5 %     a machine in each office on which many people sign in
//	night owl             0.3 %     every other weekend day until three in the morning, by 12 of 100
//	moved house           0.3 %     another line; four in ten into another city, where there is one in the
//	                                country; once in eight years; told for 14 days
//	new employee          0.2 %     11 of 100 in a year, told for a week
//	travel, holiday       2.0 %     business trips of 1 to 5 days, none to 15 a year by habit; four in ten
//	                                holidays; hours are those of the place
//	new phone             0.3 %     once in two years, told for a week
//	new laptop            0.2 %     three in ten years, told for a week
//	long leave          < 0.1 %     30 to 120 days without a sign-in; then half of who has a password has
//	                                forgotten it, and a quarter has another laptop
//	company VPN             9 %     three in ten people; laptops outside of the office appear at headquarters
//	split tunnel            4 %     one in ten people; from one sign-in to the next at headquarters or at home
//	vpn                     3 %     one in ten people; one of three exits, in eight cities, known to be anonymous
//	mistyped            + 2.8 %    password, code, or push denied
//	late code           + 0.8 %    one to five prompts run out
//	push outage         < 0.1 %    three times a year no push arrives for up to two hours, whoever signs in
//	mistyped e-mail     + 0.1 %    two letters the wrong way round: nobody's
//	forgotten password  + 0.7 %    three to eight failures, then success, within some 25 minutes
//	wrong SSO account   + 0.1 %    once, then the right one
//	old client        + < 0.1 %     refused for its version
//	lost phone          < 0.1 %    by recovery code, or with the second factor switched off
//	leaver              < 0.1 %    11 of 100 in a year; some try during the next 30 days and are refused
//
// # Attacks
//
// All events of an attack bear its kind as Truth and its number; the one with which the attacker gets in
// is the Takeover. Sprays may hit several people and get into at most one account. Attackers come back up
// to twice. They work from rented servers, anonymous VPNs, relays, and households all over the world; one
// in ten on a single account from a household in the victim's city. Nothing begins in the first 14 days,
// or the first third of a shorter history.
//
//	kind                     gets in   shape
//	password spray             50 %    one address tries 60 to 95 % of the people (at most 400) once or twice,
//	                                   every few seconds or every minute
//	slow spray                 50 %    10 to 50 % of the people (at most 150), once a day for 4 to 10 days, from
//	                                   12 to 71 addresses
//	distributed spray          50 %    40 to 80 % of the people (at most 500) within hours, an address for one to
//	                                   three tries
//	credential stuffing        60 %    120 to 4,000 tries from 15 to 59 addresses, more than half at e-mails of
//	                                   strangers
//	mfa fatigue                70 %    6 to 25 prompts, some minutes or seconds apart, often at night
//	stolen session            100 %    the session of somebody's success appears as a success elsewhere, four in
//	                                   ten with the same browser
//	sanctioned country         80 %    up to three failures, then success, from one of four countries
//	insider                   100 %    a colleague's account, on one's own machine at one's own home
//	dormant account           100 %    an account that was quiet for 60 to 120 days (less in a short history)
//	recovery code              80 %    wrong codes, wrong recovery codes, a right one
//	second factor disabled     85 %    wrong codes, a pause of up to 6 hours, no second factor any more
//
// A right password of somebody with a second factor is no takeover: a spray or stuffing stops there with
// mfa_missing. Which is what it hits if nobody has a password alone.
//
// # What it leaves out
//
// Daylight saving; roaming phones, which appear at home; audit events, such as the one that switches a
// second factor off; a firewall, so that Details is empty and nothing is denied but leavers; answers to
// attacks: nobody is suspended, and a victim goes on signing in.
package synth
