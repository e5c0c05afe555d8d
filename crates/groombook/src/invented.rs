//! Names, streets and notes that nobody owns.
//!
//! Owns the words that rows are made of. All invented for this crate; addresses are of the
//! reserved domain `example.com` and the fictitious exchange 555.

pub(super) const GIVEN_NAMES: [&str; 32] = [
    "Alma", "Bram", "Cleo", "Dara", "Edda", "Falk", "Greta", "Hugo", "Ilse", "Jory", "Kaia",
    "Levin", "Mika", "Nell", "Otis", "Pia", "Quinn", "Rhea", "Soren", "Tilda", "Ugo", "Vera",
    "Wim", "Xenia", "Yara", "Zeno", "Abel", "Britt", "Cosmo", "Dilys", "Enzo", "Freya",
];

pub(super) const FAMILY_NAMES: [&str; 32] = [
    "Abendroth",
    "Birkin",
    "Castellan",
    "Dunmore",
    "Elderwick",
    "Farrow",
    "Gladwin",
    "Hollis",
    "Iverson",
    "Jessop",
    "Kettering",
    "Lindqvist",
    "Marlowe",
    "Nightingale",
    "O'Hara",
    "Pemberton",
    "Quillfeather",
    "Rosenthal",
    "Sandoval",
    "Thistlewood",
    "Underhill",
    "Vandermeer",
    "Westbrook",
    "Yarrow",
    "Zimmer",
    "Ashdown",
    "Brightwell",
    "Copperfield",
    "D'Arcy",
    "Everhart",
    "Foxglove",
    "Greenhalgh",
];

pub(super) const STREETS: [&str; 12] = [
    "Clover Lane",
    "Biscuit Row",
    "Willowbank Road",
    "Fetch Street",
    "Old Kennel Way",
    "Harbour Rise",
    "Paddock Close",
    "Thimble Court",
    "Long Meadow",
    "Barkley Avenue",
    "Whisker Hill",
    "Tin Bridge Road",
];

pub(super) const TOWNS: [&str; 10] = [
    "Amberford",
    "Brackwater",
    "Coldhaven",
    "Dapplewood",
    "Eastmere",
    "Fenbridge",
    "Goosegreen",
    "Hartsend",
    "Inkwell",
    "Juniper Falls",
];

pub(super) const CLIENT_NOTES: [&str; 5] = [
    "Rings twice at the side door",
    "Likes to be called when the dryer starts",
    "Comes with two pets, books them together",
    "Always early; let them wait inside",
    "Pays at the end of the month",
];

pub(super) const PET_NAMES: [&str; 32] = [
    "Biscuit",
    "Mochi",
    "Pickle",
    "Waffles",
    "Tofu",
    "Pudding",
    "Juno",
    "Pixel",
    "Nimbus",
    "Sprocket",
    "Clementine",
    "Bramble",
    "Domino",
    "Figaro",
    "Gizmo",
    "Hazelnut",
    "Inky",
    "Jasper",
    "Kiwi",
    "Lentil",
    "Marble",
    "Noodle",
    "Otter",
    "Poppy",
    "Quill",
    "Ripple",
    "Sesame",
    "Truffle",
    "Umber",
    "Velvet",
    "Wombat",
    "Ziggy",
];

/// Species and breed.
pub(super) const BREEDS: [(&str, &str); 16] = [
    ("dog", "Poodle"),
    ("dog", "Cockapoo"),
    ("dog", "Border Terrier"),
    ("dog", "Newfoundland"),
    ("dog", "Schnauzer"),
    ("dog", "Bichon Frise"),
    ("dog", "Samoyed"),
    ("dog", "Spaniel"),
    ("dog", "Dachshund"),
    ("dog", "Mixed breed"),
    ("dog", "Old English Sheepdog"),
    ("dog", "Wire Fox Terrier"),
    ("cat", "Persian"),
    ("cat", "Maine Coon"),
    ("cat", "Domestic longhair"),
    ("rabbit", "Angora"),
];

pub(super) const HEALTH_ALERTS: [&str; 6] = [
    "Tender left hip; no standing on the table for long",
    "Reacts to lavender",
    "Ears inflame when wet",
    "Heart medicine at noon",
    "Bites when the muzzle is touched",
    "Fits; keep the room quiet",
];

pub(super) const GROOMING_NOTES: [&str; 6] = [
    "Mats behind the ears",
    "Hates the blue brush",
    "Stands still for cheese",
    "Keep the tail long",
    "Dry by hand, never in the box",
    "Nails are black: cut little",
];

pub(super) const APPOINTMENT_NOTES: [&str; 6] = [
    "Asked for the short summer cut",
    "Bring the other brush from the van",
    "Owner waits in the shop",
    "Came in from the beach, rinse twice",
    "First visit",
    "Shorter around the eyes this time",
];

pub(super) const CUT_STYLES: [&str; 8] = [
    "teddy",
    "lamb",
    "kennel clip",
    "hand-stripped",
    "lion",
    "puppy trim",
    "tidy-up",
    "scissor finish",
];

pub(super) const PRODUCTS: [&str; 6] = [
    "oat shampoo, balm for paws",
    "whitening shampoo, detangling spray",
    "shampoo without scent",
    "conditioner for wire coats, chalk",
    "tar shampoo as the vet prescribed",
    "coconut rinse, ear powder",
];

pub(super) const VISIT_NOTES: [&str; 6] = [
    "Fell asleep under the dryer",
    "Found a tick, removed, owner told",
    "Coat in fine order",
    "Took two people for the nails",
    "Undercoat came out in handfuls",
    "Small nick at the ear, cleaned",
];

/// Name, description, price in cents, minutes. The ids are fixed: 1 to 10 at the end of one prefix.
pub(super) const SERVICES: [(&str, &str, u32, u32); 10] = [
    (
        "Bath and Brush",
        "Wash, dry and brush, ears wiped",
        4200,
        45,
    ),
    (
        "Full Groom, small",
        "Bath, clip and finish up to 10 kg",
        6400,
        60,
    ),
    (
        "Full Groom, medium",
        "Bath, clip and finish up to 25 kg",
        7900,
        75,
    ),
    (
        "Full Groom, large",
        "Bath, clip and finish above 25 kg",
        9800,
        105,
    ),
    ("Nails", "Clipped and filed", 1500, 15),
    ("Teeth", "Brushed, with paste for animals", 1200, 15),
    ("Undercoat", "De-shedding bath, blow-out and rake", 5600, 60),
    (
        "First Visit",
        "Half an hour to learn that nothing hurts",
        3500,
        30,
    ),
    ("Hand Stripping", "For wire coats, by the hour", 8800, 90),
    (
        "Tidy-up",
        "Face, feet and tail between two grooms",
        2700,
        30,
    ),
];

/// The second words of the UAT clients' names.
pub(super) const UAT_NAMES: [&str; 5] = ["Alpha", "Bravo", "Charlie", "Delta", "Echo"];
