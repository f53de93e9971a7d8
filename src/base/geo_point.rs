//! Points on the earth and the way between them.

/// Latitude and longitude in degrees, WGS-84.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GeoPoint {
    pub lat: f64,
    pub lon: f64,
}

/// Mean radius of the earth in metres (IUGG mean radius R1).
const EARTH_RADIUS_M: f64 = 6_371_008.8;

impl GeoPoint {
    /// A point, if latitude is within ±90 and longitude within ±180.
    pub fn new(lat: f64, lon: f64) -> Option<Self> {
        ((-90.0..=90.0).contains(&lat) && (-180.0..=180.0).contains(&lon))
            .then_some(GeoPoint { lat, lon })
    }

    /// Great-circle distance in metres by the haversine formula on a sphere of mean radius.
    pub fn distance_m(self, other: GeoPoint) -> f64 {
        let (lat1, lat2) = (self.lat.to_radians(), other.lat.to_radians());
        let half_lat = (lat2 - lat1) / 2.0;
        let half_lon = (other.lon - self.lon).to_radians() / 2.0;
        let h = half_lat.sin().powi(2) + lat1.cos() * lat2.cos() * half_lon.sin().powi(2);
        2.0 * EARTH_RADIUS_M * h.sqrt().min(1.0).asin()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shanghai_to_beijing() {
        let d = GeoPoint {
            lat: 31.2304,
            lon: 121.4737,
        }
        .distance_m(GeoPoint {
            lat: 39.9042,
            lon: 116.4074,
        });
        assert!((d - 1_067_000.0).abs() < 1_500.0, "{d}");
        assert!(GeoPoint::new(91.0, 0.0).is_none());
    }
}
