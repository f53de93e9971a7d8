//! The 34 regions at the level of provinces, the cities that the sample's users live in, and where
//! those are.

pub(super) struct Region {
    pub name: &'static str,
    pub cities: &'static [City],
}

pub(super) struct City {
    pub name: &'static str,
    pub lat: f64,
    pub lon: f64,
}

const fn city(name: &'static str, lat: f64, lon: f64) -> City {
    City { name, lat, lon }
}

const fn region(name: &'static str, cities: &'static [City]) -> Region {
    Region { name, cities }
}

/// In order of how many of the sample's users live there; so are the cities of each.
pub(super) const REGIONS: [Region; 34] = [
    region(
        "Guangdong",
        &[
            city("Guangzhou", 23.13, 113.26),
            city("Shenzhen", 22.54, 114.06),
            city("Dongguan", 23.02, 113.75),
            city("Foshan", 23.02, 113.12),
            city("Zhuhai", 22.27, 113.58),
        ],
    ),
    region("Shanghai", &[city("Shanghai", 31.23, 121.47)]),
    region("Beijing", &[city("Beijing", 39.90, 116.41)]),
    region(
        "Jiangsu",
        &[
            city("Nanjing", 32.06, 118.80),
            city("Suzhou", 31.30, 120.59),
            city("Wuxi", 31.49, 120.31),
            city("Xuzhou", 34.26, 117.19),
        ],
    ),
    region(
        "Zhejiang",
        &[
            city("Hangzhou", 30.27, 120.16),
            city("Ningbo", 29.87, 121.54),
            city("Wenzhou", 27.99, 120.70),
        ],
    ),
    region(
        "Shandong",
        &[
            city("Jinan", 36.65, 117.12),
            city("Qingdao", 36.07, 120.38),
            city("Yantai", 37.46, 121.45),
        ],
    ),
    region(
        "Henan",
        &[
            city("Zhengzhou", 34.75, 113.63),
            city("Luoyang", 34.62, 112.45),
        ],
    ),
    region(
        "Sichuan",
        &[
            city("Chengdu", 30.57, 104.07),
            city("Mianyang", 31.47, 104.68),
        ],
    ),
    region(
        "Hubei",
        &[city("Wuhan", 30.59, 114.31), city("Yichang", 30.69, 111.29)],
    ),
    region(
        "Hunan",
        &[
            city("Changsha", 28.23, 112.94),
            city("Zhuzhou", 27.83, 113.13),
        ],
    ),
    region(
        "Fujian",
        &[
            city("Fuzhou", 26.07, 119.30),
            city("Xiamen", 24.48, 118.09),
            city("Quanzhou", 24.87, 118.68),
        ],
    ),
    region(
        "Anhui",
        &[city("Hefei", 31.82, 117.23), city("Wuhu", 31.35, 118.43)],
    ),
    region(
        "Hebei",
        &[
            city("Shijiazhuang", 38.04, 114.51),
            city("Tangshan", 39.63, 118.18),
            city("Baoding", 38.87, 115.46),
        ],
    ),
    region(
        "Shaanxi",
        &[city("Xi'an", 34.34, 108.94), city("Baoji", 34.36, 107.24)],
    ),
    region("Chongqing", &[city("Chongqing", 29.56, 106.55)]),
    region(
        "Liaoning",
        &[
            city("Shenyang", 41.80, 123.43),
            city("Dalian", 38.91, 121.61),
        ],
    ),
    region(
        "Jiangxi",
        &[
            city("Nanchang", 28.68, 115.86),
            city("Ganzhou", 25.83, 114.93),
        ],
    ),
    region(
        "Guangxi",
        &[
            city("Nanning", 22.82, 108.37),
            city("Guilin", 25.27, 110.29),
        ],
    ),
    region(
        "Yunnan",
        &[city("Kunming", 24.88, 102.83), city("Dali", 25.61, 100.27)],
    ),
    region("Tianjin", &[city("Tianjin", 39.34, 117.36)]),
    region(
        "Shanxi",
        &[
            city("Taiyuan", 37.87, 112.55),
            city("Datong", 40.08, 113.30),
        ],
    ),
    region(
        "Guizhou",
        &[city("Guiyang", 26.65, 106.63), city("Zunyi", 27.73, 106.93)],
    ),
    region(
        "Heilongjiang",
        &[city("Harbin", 45.80, 126.53), city("Daqing", 46.59, 125.10)],
    ),
    region(
        "Jilin",
        &[
            city("Changchun", 43.82, 125.32),
            city("Jilin City", 43.84, 126.55),
        ],
    ),
    region(
        "InnerMongolia",
        &[city("Hohhot", 40.84, 111.75), city("Baotou", 40.66, 109.84)],
    ),
    region("Xinjiang", &[city("Urumqi", 43.83, 87.62)]),
    region("Gansu", &[city("Lanzhou", 36.06, 103.83)]),
    region(
        "Hainan",
        &[city("Haikou", 20.04, 110.20), city("Sanya", 18.25, 109.51)],
    ),
    region("Ningxia", &[city("Yinchuan", 38.49, 106.23)]),
    region("Qinghai", &[city("Xining", 36.62, 101.78)]),
    region("Tibet", &[city("Lhasa", 29.65, 91.14)]),
    region("HongKong", &[city("Hong Kong", 22.32, 114.17)]),
    region("Macau", &[city("Macau", 22.20, 113.54)]),
    region(
        "Taiwan",
        &[
            city("Taipei", 25.03, 121.57),
            city("Kaohsiung", 22.63, 120.30),
        ],
    ),
];
